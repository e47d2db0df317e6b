//! The eBPF recorder alone, for its tests and measurements: `ebpf arm DIRECTORY` (as a prestart hook), `collect DIRECTORY`,
//! `release DIRECTORY`, `probe`, `slots`, `unload`. DIRECTORY holds a `recording.json`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use capprof_hook::ebpf::{self, Method};
use capprof_profile::recording::Process;
use capprof_store::process;
use capprof_store::recording::Directory;
use std::io::Read;
use std::path::Path;
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
            let armed = ebpf::arm(&recording, &directory(), process::find(pid).unwrap())?;
            let took = started.elapsed();
            directory().save_json("armed.json", &armed)?;
            std::fs::write(directory().path().join("arm.time"), format!("{took:?}\n"))?;
        }
        "collect" => {
            let recording = directory().load()?;
            let armed: ebpf::EbpfState = directory().load_json("armed.json")?;
            let evidence = ebpf::collect(&recording, &armed).evidence;
            eprintln_time("collect", started);
            println!("{}", serde_json::to_string_pretty(&evidence)?);
        }
        "release" => {
            let armed: ebpf::EbpfState = directory().load_json("armed.json")?;
            ebpf::forget(&armed)?;
            eprintln_time("release", started);
        }
        // A process that has ended since the hook looked at it.
        "arm-gone" => {
            let pid = arguments[2].parse()?;
            let init = Process { pid, start_time: 1 };
            ebpf::arm(&directory().load()?, &directory(), init)?;
        }
        // Loads by the methods whose names begin like this.
        "load" => {
            let is_wanted = |method: &Method| method.name().starts_with(&arguments[1]);
            let methods: Vec<Method> = Method::ALL.into_iter().filter(is_wanted).collect();
            ebpf::load(&methods)?;
        }
        // The kinds of use, besides capability checks, that are not seen.
        "unseen" => println!("{:?}", ebpf::unseen()?),
        // The processes that the kernel side counts.
        "processes" => println!("{:?}", ebpf::processes()?),
        // Does what recovery does for a state directory without recordings.
        "sweep" => println!("{:?}", ebpf::sweep(Path::new(&arguments[1]), &[])?),
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
