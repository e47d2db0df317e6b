//! Compiles the eBPF programs (`bpf/*.bpf.c`) with clang. `CLANG` names another compiler.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    for input in ["bpf", "build.rs"] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rerun-if-env-changed=CLANG");

    let target = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => return Err(format!("the eBPF recorder is not ported to {other}").into()),
    };
    // libbpf's own headers, from the copy that libbpf-sys brings.
    let headers = env::var("DEP_BPF_INCLUDE")?;
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let compile = |name: &str| compile(&clang, target, &headers, name);
    compile("why")?;
    let object = compile("capprof")?;
    let build = fs::read(&object)?
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    println!("cargo:rustc-env=CAPPROF_BPF_BUILD={build}");
    Ok(())
}

/// Compiles `bpf/NAME.bpf.c` to `NAME.bpf.o` in the output directory.
fn compile(
    clang: &str,
    target: &str,
    headers: &str,
    name: &str,
) -> Result<PathBuf, Box<dyn Error>> {
    let source = format!("bpf/{name}.bpf.c");
    let object = PathBuf::from(env::var("OUT_DIR")?).join(format!("{name}.bpf.o"));
    let status = Command::new(clang)
        .args([
            "-g",
            "-O2",
            "-target",
            "bpf",
            "-mcpu=v3",
            "-Wall",
            "-Werror",
            // No program uses every function of the headers.
            "-Wno-unused-function",
        ])
        .arg(format!("-D__TARGET_ARCH_{target}"))
        .arg(format!("-I{headers}"))
        // The binary must not contain the paths of this machine.
        .arg(format!(
            "-fdebug-prefix-map={}=.",
            env::var("CARGO_MANIFEST_DIR")?
        ))
        .arg(format!("-fdebug-prefix-map={headers}=libbpf"))
        .args(["-c", &source, "-o"])
        .arg(&object)
        .status()
        .map_err(|error| format!("run {clang}: {error} (install clang, or set CLANG)"))?;
    if !status.success() {
        return Err(format!("{clang} could not compile {source}").into());
    }
    // Debug sections are most of the file, and libbpf needs none of them.
    for strip in ["llvm-strip", "llvm-strip-14"] {
        if let Ok(status) = Command::new(strip).arg("-g").arg(&object).status()
            && status.success()
        {
            break;
        }
    }
    Ok(object)
}
