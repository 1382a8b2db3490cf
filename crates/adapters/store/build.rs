//! Makes cargo notice new migrations: the embedding macro by itself only follows files that already existed.

fn main() {
    println!("cargo:rerun-if-changed=../../../migrations");
}
