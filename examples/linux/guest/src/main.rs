//! Tests that run as a program inside the Linux that the hypervisor boots: `linux-guest NAME`.

mod fetch;
mod illegal;
mod shootdown;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let name = env::args().nth(1).unwrap_or_default();
    let result = match name.as_str() {
        "fetch" => fetch::run(),
        "shootdown" => shootdown::run(),
        name => illegal::run(name),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}
