//! Compiles the specimen and the backup bot and embeds them, with the sources of images and recipes: an installed taster has no
//! source tree.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

fn main() {
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    for name in ["specimen", "bot"] {
        compile(name, &source, &out);
    }
    let mut table = String::new();
    for (name, folder) in [("IMAGES", "images"), ("RECIPES", "recipes")] {
        let root = source.join(folder);
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        walk(&root, &mut files);
        files.sort();
        table += &format!("/// The files under `{folder}/`, sorted by path.\npub(crate) static {name}: &[(&str, &[u8])] = &[\n");
        for file in files {
            let path = file.strip_prefix(&root).expect("the walk starts at the root").to_str().expect("the paths are ASCII");
            table += &format!("    ({path:?}, include_bytes!({file:?})),\n");
        }
        table += "];\n";
    }
    // The digests are constants, so that no start of taster has to read the whole programs.
    for (name, constant) in [("specimen", "SPECIMEN_DIGEST"), ("bot", "BOT_DIGEST")] {
        let program = fs::read(out.join(name)).expect("the compiler wrote it");
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&program)[..6]);
        fs::write(out.join(format!("{name}.gz")), compress(&program)).expect("OUT_DIR can be written");
        table += &format!(
            "/// The first twelve digits of the digest of the {name}.\npub(crate) static {constant}: &str = {digest:?};\n"
        );
    }
    fs::write(out.join("embedded.rs"), table).expect("OUT_DIR can be written");
}

/// Compiles a program without paths, times or parallel units, so that the same source and compiler give the same bytes.
fn compile(name: &str, source: &Path, out: &Path) {
    println!("cargo::rerun-if-changed={name}");
    let status = Command::new(env::var_os("RUSTC").expect("set by cargo"))
        .current_dir(source.join(name))
        .args(["--edition", "2024", "--crate-type", "bin", "--crate-name", name, "main.rs"])
        .args(["--target", &env::var("TARGET").expect("set by cargo")])
        .args(["-C", "opt-level=s", "-C", "strip=symbols", "-C", "target-feature=+crt-static", "-C", "panic=abort"])
        .args(["-C", "codegen-units=1", "-C", &format!("metadata={name}"), "-C", "link-arg=-Wl,--build-id=none"])
        .arg("-o")
        .arg(out.join(name))
        .status()
        .expect("rustc can be started");
    assert!(status.success(), "the {name} does not compile");
}

/// Compresses a program by gzip, to half its size.
fn compress(program: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(program).expect("a vector can be written");
    packer.finish().expect("a vector can be written")
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source tree can be read").flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}
