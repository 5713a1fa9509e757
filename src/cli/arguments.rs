//! The command line. The help texts here are also the manual page.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::management::ManagementAddress;
use crate::domain::access::Method;
use crate::domain::cvr::Cvr;
use crate::domain::timestamp::Timestamp;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed while running; denied, not ready, store in use
  2  bad usage or configuration
  3  the store is damaged or is not ours

Example:
  virksomhedslogin dev";

/// The output of `--version`; `-V` prints the number alone.
const LONG_VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), "\ncommit: ", env!("VIRKSOMHEDSLOGIN_BUILD_COMMIT"));

/// When a Danish company first and last logged in to JobAG: SetLogin, GetLogin and GetLogins.
#[derive(Debug, Parser)]
#[command(name = "virksomhedslogin", version, long_version = LONG_VERSION, about, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service
    #[command(
        after_help = "Example:\n  virksomhedslogin serve --config /etc/virksomhedslogin/virksomhedslogin.toml"
    )]
    Serve(ConfigArgs),
    /// Run it for a newcomer: no configuration, this machine only, tokens and curl lines printed
    #[command(after_help = "Example:\n  virksomhedslogin dev --listen 127.0.0.1:8081 --data ./dev-data")]
    Dev(DevArgs),
    /// Report everything that would stop the service: configuration, access table, keys, store, addresses
    #[command(
        after_help = "Changes nothing and may run beside the service: its addresses and its store are reported as notes. \
                            Run it as the service's user. The records are not read; `verify` does that.\n\n\
                            Example:\n  virksomhedslogin check --config /etc/virksomhedslogin/virksomhedslogin.toml"
    )]
    Check(ConfigArgs),
    /// Show whether a caller is allowed, and by which rule or because which is missing
    #[command(after_help = "Example:\n  virksomhedslogin explain --config virksomhedslogin.toml \\\n    \
                            --method GetLogin --organisation JobCenter --adgang EgneBorgere\n  \
                            virksomhedslogin explain --config virksomhedslogin.toml --method GetLogin --token FILE")]
    Explain(ExplainArgs),
    /// Write every record as NDJSON with a trailer
    #[command(
        after_help = "With --output FILE the file is replaced whole, or left as it was (readable to its owner alone); - is standard output.\n\n\
                            Example:\n  virksomhedslogin export --from http://127.0.0.1:9090 --output logins.ndjson"
    )]
    Export(ExportArgs),
    /// Merge NDJSON or CSV into the stopped store: first = min, last = max; can be repeated
    #[command(
        after_help = "Prints three lines: `read: N` (good lines), `skipped: N` (bad lines), `changed: N` (new or \
                            changed records). Bad lines are reported on standard error.\n\n\
                            Example:\n  virksomhedslogin import --config virksomhedslogin.toml logins.ndjson"
    )]
    Import(ImportArgs),
    /// Take companies out of the stopped store, or of the database while instances run
    #[command(
        after_help = "Writes one line a company into audit.file before it takes any out, so run it as the service's user. \
                            Prints three lines: `found: N` (companies in the store), `not found: N` (numbers that are not \
                            there) and `erased: N`. A later login of such a company begins a new record.\n\n\
                            Example:\n  virksomhedslogin erase --config virksomhedslogin.toml \\\n    \
                            --last-before 2021-01-01 --dry-run"
    )]
    Erase(EraseArgs),
    /// Open the stopped store and check every record against the checkpoint
    #[command(
        after_help = "Prints four lines: `records: N`, `first login: TIME`, `last login: TIME` (RFC 3339, or `none`) \
                            and `sequence: N`, the number of the last durable change.\n\n\
                            Example:\n  virksomhedslogin verify --config virksomhedslogin.toml"
    )]
    Verify(ConfigArgs),
    /// Print the OpenAPI document
    #[command(after_help = "Example:\n  virksomhedslogin openapi > openapi.json")]
    Openapi,
    /// Print the manual page (roff)
    #[command(
        after_help = "Example:\n  virksomhedslogin man > virksomhedslogin.1 && man ./virksomhedslogin.1"
    )]
    Man,
    /// Print shell completions
    #[command(after_help = "Example:\n  virksomhedslogin completions bash \\\n    \
                            > /usr/share/bash-completion/completions/virksomhedslogin")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Ask a running service whether it is ready: exit code 0 or 1
    #[command(after_help = "Example:\n  virksomhedslogin health --url http://127.0.0.1:9090")]
    Health {
        /// The address of the management listener: http://HOST:PORT or unix:PATH
        #[arg(long, value_name = "ADDRESS", value_parser = ManagementAddress::parse)]
        url: ManagementAddress,
    },
}

/// `--config`, which most commands take.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file (TOML); see config/virksomhedslogin.toml for every key
    #[arg(long, value_name = "FILE", env = "VIRKSOMHEDSLOGIN_CONFIG")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Where the API answers; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = loopback)]
    pub listen: SocketAddr,
    /// Keep the store in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print one line of JSON for programs instead: addresses, tokens, paths
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The method that is called
    #[arg(long, value_name = "METHOD", value_parser = method())]
    pub method: Method,
    /// The organisation type that the token claims
    #[arg(long, value_name = "TYPE", required_unless_present = "token")]
    pub organisation: Option<String>,
    /// An access mode that the token claims; can be repeated
    #[arg(long, visible_alias = "access-mode", value_name = "MODE")]
    pub adgang: Vec<String>,
    /// Take the token in this file (- for standard input) through every check, and report all that it fails
    #[arg(long, value_name = "FILE", conflicts_with_all = ["organisation", "adgang"])]
    pub token: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The configuration file (TOML); with --from none is needed
    #[arg(long, value_name = "FILE", env = "VIRKSOMHEDSLOGIN_CONFIG", required_unless_present = "from")]
    pub config: Option<PathBuf>,
    /// Write to this file instead of standard output (-); a link out of its directory is not followed
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Ask the service that runs here (its management listener, http://HOST:PORT or unix:PATH) instead of the stopped store
    #[arg(long, value_name = "ADDRESS", value_parser = ManagementAddress::parse)]
    pub from: Option<ManagementAddress>,
    /// Only companies whose latest login is before this time (RFC 3339, or a date: its midnight UTC)
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_bound)]
    pub last_before: Option<Timestamp>,
    /// Only companies whose latest login is at this time or later
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_bound)]
    pub last_since: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The companies, by their CVR numbers
    #[arg(value_name = "CVR", value_parser = Cvr::parse, required_unless_present = "last_before")]
    pub companies: Vec<Cvr>,
    /// Instead: every company whose latest login is before this time (RFC 3339, or a date: its midnight UTC)
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_bound, conflicts_with = "companies")]
    pub last_before: Option<Timestamp>,
    /// Only report how many it would be
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask; without a terminal nothing is erased without this
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The file to read, or - for standard input
    #[arg(value_name = "INPUT")]
    pub input: PathBuf,
    /// What the file holds; default: csv when its name ends in .csv, else ndjson
    #[arg(long, value_enum)]
    pub format: Option<ImportFormat>,
    /// Skip bad lines instead of rejecting the whole file
    #[arg(long)]
    pub skip_bad: bool,
    /// Accept NDJSON without its trailer, for a list that another system made
    #[arg(long)]
    pub no_trailer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// One JSON object a line, and a trailer
    Ndjson,
    /// A header line with the three names, separated by commas or semicolons
    Csv,
}

fn method() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::ALL.map(Method::name)).try_map(|name| name.parse::<Method>())
}

/// `dev` prints valid tokens, so no other machine may reach it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        "write an IP address with a port, for example 127.0.0.1:8080 or [::1]:8080".to_owned()
    })?;
    if address.ip().to_canonical().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{} is not a loopback address; dev prints valid tokens and runs on this machine only \
             (127.0.0.1 or ::1), use serve for others",
            address.ip()
        ))
    }
}
