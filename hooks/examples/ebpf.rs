//! The eBPF recorder alone, for its tests and measurements: `ebpf arm DIRECTORY` (as a prestart hook), `collect DIRECTORY`,
//! `release DIRECTORY`, `probe`, `slots`, `unload`. DIRECTORY holds a `recording.json`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    dead_code,
    unreachable_pub
)]

#[path = "../src/ebpf/mod.rs"]
mod ebpf;

use capprof_profile::recording::{Directory, Process};
use std::io::Read;
use std::time::Instant;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = || Directory::at(arguments[1].clone().into());
    let started = Instant::now();
    match arguments[0].as_str() {
        "arm" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            let state: serde_json::Value = serde_json::from_str(&text)?;
            let pid = i32::try_from(state["pid"].as_i64().unwrap())?;
            let started = Instant::now();
            let recording = directory().load()?;
            let armed = ebpf::arm(&recording, Process::of(pid).unwrap())?;
            let took = started.elapsed();
            directory().save_json("armed.json", &armed)?;
            std::fs::write(directory().path().join("arm.time"), format!("{took:?}\n"))?;
        }
        "collect" => {
            let recording = directory().load()?;
            let armed: ebpf::Armed = directory().load_json("armed.json")?;
            let evidence = ebpf::collect(&recording, &armed);
            eprintln_time("collect", started);
            println!("{}", serde_json::to_string_pretty(&evidence)?);
        }
        "release" => {
            let armed: ebpf::Armed = directory().load_json("armed.json")?;
            ebpf::release(&armed)?;
            eprintln_time("release", started);
        }
        // A process that was there when the hook looked, and is not any more.
        "arm-gone" => {
            let pid = arguments[2].parse()?;
            let init = Process { pid, start_time: 1 };
            ebpf::arm(&directory().load()?, init)?;
        }
        "load" => ebpf::load(&arguments[1])?,
        // What is no capability check, and is not seen.
        "unseen" => println!("{:?}", ebpf::unseen()?),
        // What makes the kernel side count.
        "processes" => println!("{:?}", ebpf::processes()?),
        "probe" => println!("{}", serde_json::to_string_pretty(&ebpf::probe())?),
        "slots" => println!("{:?}", ebpf::live_slots()?),
        "unload" => println!("{}", ebpf::unload()?),
        other => anyhow::bail!("unknown command {other}"),
    }
    Ok(())
}

fn eprintln_time(what: &str, started: Instant) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{what} {:?}", started.elapsed());
}
