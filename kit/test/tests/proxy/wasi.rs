//! What is there of WASI (ABI: "Randomness", "Environment variables", "Unimplemented WASI functions").

use proxy_wasm_test::{Error, Options, Proxy};

use crate::wat::{Wat, said};

#[test]
fn the_environment_is_the_one_of_the_test() -> Result<(), Error> {
    let wat = Wat::new().on(
        "_initialize",
        "(call $number (call $wasi_environ_sizes_get #0 #4))
         (call $number (i32.load #0)) (call $number (i32.load #4))
         (call $number (call $wasi_environ_get #8 #100))
         (call $say #100 (i32.load #4))
         (call $number (i32.load #8)) (call $number (i32.load #12))",
    );
    let options = Options::new()
        .environment("NAME", "value")
        .environment("A", "");
    let proxy = wat.load_with(options)?;
    assert_eq!(
        said(&proxy),
        ["0", "2", "14", "0", "A=\0NAME=value\0", "100", "103"]
    );
    assert_eq!(said(&wat.load()?), ["0", "0", "0", "0", "", "0", "0"]);
    Ok(())
}

#[test]
fn random_numbers_depend_on_the_seed_alone() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(call $number (call $wasi_random_get #100 #13)) (call $say #100 #16)",
    );
    let run = |seed| -> Result<Vec<String>, Error> {
        let proxy = wat.load_with(Options::new().random_seed(seed))?;
        proxy.tick()?;
        proxy.tick()?;
        Ok(said(&proxy))
    };
    let (first, other) = (run(1)?, run(2)?);
    assert_eq!(first, run(1)?);
    assert_ne!(first[1], other[1]);
    assert_ne!(first[1], first[3]);
    assert!(first[1].ends_with("\0\0\0"));
    Ok(())
}

#[test]
fn too_much_randomness_is_refused() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_tick",
        "(call $number (call $wasi_random_get #0 #-1))",
    );
    let proxy = wat.load()?;
    proxy.tick()?;
    assert_eq!(said(&proxy), ["28"]);
    Ok(())
}

#[test]
fn there_are_no_arguments_and_no_files() -> Result<(), Error> {
    let wat = Wat::new().on(
        "_start",
        "(i32.store #0 #7) (i32.store #4 #7)
         (call $number (call $wasi_args_sizes_get #0 #4))
         (call $number (i32.load #0)) (call $number (i32.load #4))
         (call $number (call $wasi_args_get #0 #4))
         (call $number (call $wasi_fd_prestat_get #3 #0))
         (call $number (call $wasi_fd_read #0 #0 #0 #0))
         (call $number (call $wasi_fd_fdstat_get #1 #8)) (call $number (i32.load #16))
         (call $number (call $wasi_fd_fdstat_get #3 #8))",
    );
    assert_eq!(
        said(&wat.load()?),
        ["0", "0", "0", "0", "8", "52", "0", "64", "8"]
    );
    Ok(())
}

#[test]
fn the_older_name_of_wasi_serves_as_well() -> Result<(), Error> {
    let module = Wat::new()
        .on(
            "_start",
            "(drop (call $wasi_clock_time_get #0 (i64.const 0) #0)) (call $number (i32.load #4))",
        )
        .text()
        .replace("wasi_snapshot_preview1", "wasi_unstable");
    assert_eq!(said(&Proxy::load(module)?).len(), 1);
    Ok(())
}

#[test]
fn an_exit_ends_the_vm_with_its_code() -> Result<(), Error> {
    let proxy = Wat::new()
        .on("proxy_on_tick", "(call $wasi_proc_exit #3)")
        .load()?;
    let Err(Error::Trap(trap)) = proxy.tick() else {
        panic!("it goes on");
    };
    assert!(trap.reason.contains("exited with the code 3"), "{trap}");
    Ok(())
}
