//! What the program prints about itself: `man` and `completions` from the declarations in [`super::arguments`], and `openapi`
//! as a service with the shipped access table serves it.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::arguments::Arguments;
use super::outcome::{Exit, Failure, Output};
use crate::apidocs;
use crate::settings::access;

pub(super) fn man(output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    render(&mut page).map_err(Failure::failed)?;
    output.print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}

/// One page: the program, then a section for every command.
fn render(page: &mut Vec<u8>) -> io::Result<()> {
    // The number alone: the page is the same for every build of a version.
    let mut program = Arguments::command().long_version(env!("CARGO_PKG_VERSION"));
    program.build();
    let man = Man::new(program.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        writeln!(page, ".SH \"{}\"", command.get_name().to_uppercase())?;
        let mut sections = Vec::new();
        let man = Man::new(command.clone());
        man.render_synopsis_section(&mut sections)?;
        man.render_description_section(&mut sections)?;
        man.render_options_section(&mut sections)?;
        man.render_extra_section(&mut sections)?;
        // What is a section of a page of its own is a subsection here.
        page.extend(
            String::from_utf8_lossy(&sections)
                .replace(".SH EXTRA", ".SH EXAMPLE")
                .replace(".SH ", ".SS ")
                .into_bytes(),
        );
    }
    let mut codes = Vec::new();
    man.render_extra_section(&mut codes)?;
    page.extend(String::from_utf8_lossy(&codes).replace(".SH EXTRA", ".SH \"EXIT STATUS\"").into_bytes());
    man.render_version_section(page)
}

pub(super) fn completions(shell: Shell, output: &mut Output<'_>) -> Result<Exit, Failure> {
    // Into memory first: the generator panics when it cannot write.
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(shell, &mut command, "virksomhedslogin", &mut script);
    output.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

pub(super) fn openapi(output: &mut Output<'_>) -> Result<Exit, Failure> {
    let access_table = access::parse_table(access::SHIPPED, Path::new("access.toml")).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Usage, errors.join("\n"))
    })?;
    output.print(&apidocs::openapi::document(&access_table))?;
    Ok(Exit::Done)
}
