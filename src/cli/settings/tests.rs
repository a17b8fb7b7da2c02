use std::io::Write as _;

use super::*;
use crate::diagnostics::Span;

fn load(
    config: &str,
    variables: &[(&str, &str)],
    set: &[&str],
    workers: Option<usize>,
) -> Result<Settings, CliError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(config.as_bytes()).unwrap();
    let flags = SettingFlags {
        config: Some(file.path().to_owned()),
        set: set.iter().map(|s| (*s).to_owned()).collect(),
        workers,
    };
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Settings::from_places(&flags, variables)
}

fn fault(result: Result<Settings, CliError>) -> String {
    let error = result.expect_err("something is wrong");
    assert_eq!(error.code(), 1);
    error.to_string()
}

#[test]
fn the_environment_is_stronger_than_the_file_and_flags_are_apart() {
    let config = "[turnstile]\nworkers = 3\nbatch-size = 1_000\n";
    let variables = [("TURNSTILE_WORKERS", "5"), ("HOME", "/root")];
    let settings = load(config, &variables, &["turnstile.workers=6"], None).unwrap();
    assert_eq!(settings.before["turnstile.workers"], "5");
    assert_eq!(settings.before["turnstile.batch-size"], "1000");
    assert_eq!(settings.flags["turnstile.workers"], "6");
}

#[test]
fn a_flag_of_its_own_is_stronger_than_set() {
    let settings = load("", &[], &["turnstile.workers=6"], Some(7)).unwrap();
    assert_eq!(settings.flags["turnstile.workers"], "7");
}

#[test]
fn variables_name_keys_in_upper_case() {
    let variables = [
        ("TURNSTILE_EXECUTION_CHECKPOINTING_INTERVAL", "2 s"),
        ("TURNSTILE_TABLE_LOCAL_TIME_ZONE", "Europe/Berlin"),
        ("TURNSTILE_BATCH_SIZE", ""),
    ];
    let settings = load("", &variables, &[], None).unwrap();
    assert_eq!(settings.before["execution.checkpointing.interval"], "2 s");
    assert_eq!(settings.before["table.local-time-zone"], "Europe/Berlin");
    assert!(!settings.before.contains_key("turnstile.batch-size"), "empty is not set");
}

#[test]
fn a_kubernetes_service_of_our_name_is_no_setting() {
    let variables = [
        ("TURNSTILE_SERVICE_HOST", "10.0.0.1"),
        ("TURNSTILE_SERVICE_PORT_HTTP", "80"),
        ("TURNSTILE_PORT", "tcp://10.0.0.1:80"),
        ("TURNSTILE_WEB_PORT_80_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(load("", &variables, &[], None).unwrap().before.is_empty());
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let config = "[turnstile]\nworker = 3\nbatch-size = 0\n";
    let said =
        fault(load(config, &[("TURNSTILE_WORKRES", "3")], &["pipeline.name", "x=1"], Some(0)));
    for part in [
        ":2:1\n2 | worker = 3\n",
        "unknown setting `turnstile.worker`\n",
        "did you mean `turnstile.workers`?",
        ":3:14\n",
        "`turnstile.batch-size` cannot be `0`",
        "unknown variable TURNSTILE_WORKRES",
        "did you mean `TURNSTILE_WORKERS`?",
        "--set cannot be `pipeline.name`",
        "unknown setting `x` in --set",
        "`turnstile.workers` in --workers cannot be `0`",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
}

#[test]
fn a_file_that_is_no_toml_or_of_other_types_is_refused() {
    assert!(fault(load("[turnstile\n", &[], &[], None)).contains(":1:"));
    let said = fault(load("[turnstile]\nworkers = [1]\n", &[], &[], None));
    assert!(said.contains("`turnstile.workers` cannot be `[1]`"), "{said}");
    let said = fault(load("turnstile = 3\n", &[], &[], None));
    assert!(said.contains("unknown setting `turnstile`"), "{said}");
}

#[test]
fn a_script_may_set_what_only_flink_knows() {
    let placed = |text: &str| Spanned::new(text.to_owned(), Span::default());
    let set = |key: &str, value: &str| (placed(key), placed(value));
    let (errors, warnings) = check_script(
        [set("parallelism.default", "4"), set("turnstile.wrokers", "4"), set(WORKERS, "many")]
            .into_iter(),
    );
    assert_eq!((errors.len(), warnings.len()), (1, 1));
    assert_eq!(errors[0].message, "`turnstile.workers` cannot be `many`");
    assert_eq!(warnings[0].hints, ["did you mean `turnstile.workers`?"]);
}

/// The file that explains the settings names each of them once, with its
/// variable, and every value in it fits.
#[test]
fn the_documented_file_is_whole() {
    let text = include_str!("../../../config/turnstile.toml");
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let found = file::parse(&uncommented).expect("the documented file is valid");
    let named: Vec<&str> =
        found.keys().map(|name| known(name).map_or("", |k| k.name)).collect();
    let mut keys: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    keys.sort_unstable();
    assert_eq!(named, keys);
    for key in KEYS.iter().filter(|key| !key.is_family()) {
        let variable = environment::variable(key.name);
        assert!(text.contains(&format!("{variable}.")), "{variable} is not mentioned");
    }
    file::parse(text).expect("the file as it stands is valid");
}
