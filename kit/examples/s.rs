fn main() {
    let a: Vec<String> = std::env::args().collect();
    let m = std::fs::read(&a[1]).unwrap();
    let s = std::fs::read(&a[2]).unwrap();
    let t = std::time::Instant::now();
    let r = extension_kit::shrink::shrink(&m, Some(&s)).unwrap();
    for d in &r.decisions {
        println!("{d}");
    }
    println!("{:?}\n{:?} {:?}", r.before, r.after, t.elapsed());
    std::fs::write(&a[3], &r.module).unwrap();
    let m = walrus::Module::from_buffer(&r.module).unwrap();
    println!(
        "{:?}",
        m.imports.iter().map(|i| i.name.clone()).collect::<Vec<_>>()
    );
    for f in m.funcs.iter_local() {
        println!(
            "F {} {:#}",
            f.1.size(),
            rustc_demangle::demangle(m.funcs.get(f.0).name.as_deref().unwrap_or(""))
        );
    }
}
