//! Arguments → command → exit code; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    virksomhedslogin::main()
}
