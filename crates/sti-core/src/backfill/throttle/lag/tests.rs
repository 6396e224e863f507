use super::*;

fn standby(written: i64, replayed: impl Into<Option<i64>>, lag_ms: impl Into<Option<i64>>) -> Row {
    Row {
        written,
        role: "app".to_owned(),
        is_standby: true,
        name: "one".to_owned(),
        state: Some("streaming".to_owned()),
        flushes: true,
        replayed: replayed.into(),
        lag_ms: lag_ms.into(),
    }
}

/// What each look says, one second after the one before; a lag as its milliseconds.
fn looks(rows: &[Row]) -> Vec<String> {
    let begun = Instant::now();
    let mut meter = LagMeter::new(Duration::from_secs(2));
    let mut told = Vec::new();
    for (second, row) in (0..).zip(rows) {
        told.push(match meter.judge(std::slice::from_ref(row), begun + Duration::from_secs(second)) {
            None => "good".to_owned(),
            Some(ThrottleReason::ReplicaLag { lag, .. }) => format!("{} ms", lag.as_millis()),
            Some(ThrottleReason::NoStandby) => "no standby".to_owned(),
            Some(ThrottleReason::Unreadable { what }) => what,
            Some(other) => panic!("{other:?}"),
        });
    }
    told
}

#[test]
fn an_idle_standby_that_has_replayed_everything_has_no_lag() {
    assert_eq!(looks(&[standby(100, 100, None), standby(100, 100, None)]), ["good", "good"]);
}

#[test]
fn the_servers_own_figure_counts() {
    let rows = [standby(100, 90, 1999), standby(200, 150, 2001)];
    assert_eq!(looks(&rows), ["good", "2001 ms"]);
}

/// The server's figure is NULL, or that of the last report, and says nothing of how long ago that was.
#[test]
fn a_standby_that_stands_still_falls_behind_whatever_its_last_report_was() {
    let still = |lag_ms: Option<i64>| {
        let at = |written: i64| standby(written, 100, lag_ms);
        looks(&[at(100), at(200), at(300), at(400), at(500)])
    };
    assert_eq!(still(None), ["good", "good", "good", "good", "3000 ms"]);
    assert_eq!(still(Some(3)), ["good", "good", "good", "good", "3000 ms"]);
}

#[test]
fn a_busy_standby_that_follows_is_good_although_its_lag_is_not_told() {
    let rows: Vec<Row> = (1..9).map(|second| standby(second * 100, second * 100 - 20, None)).collect();
    let told = looks(&rows);
    assert_eq!(told[0], "standby one has not told yet how far it has replayed", "nothing was noted before");
    assert_eq!(told[1..], ["good"; 7]);
}

#[test]
fn a_standby_that_was_behind_at_the_first_look_is_not_believed() {
    let told = looks(&[standby(100, 10, None), standby(200, 20, None), standby(200, 110, None)]);
    assert_eq!(told[1], "standby one has not told yet how far it has replayed");
    assert_eq!(told[2], "good");
}

#[test]
fn a_role_that_may_not_look_is_told_the_grant() {
    let mut hidden = standby(100, None, None);
    hidden.state = None;
    assert!(looks(&[hidden])[0].ends_with("GRANT pg_read_all_stats TO app"));
}

#[test]
fn what_never_replays_is_no_standby() {
    let receiver = standby(100, None, None);
    assert_eq!(looks(&[receiver]), ["no standby"]);
    let mut nobody = standby(100, None, None);
    nobody.is_standby = false;
    nobody.state = None;
    assert_eq!(looks(&[nobody]), ["no standby"]);
}

#[test]
fn the_worst_standby_counts() {
    let mut meter = LagMeter::new(Duration::from_secs(2));
    let mut far = standby(100, 10, 9000);
    far.name = "far".to_owned();
    let judged = meter.judge(&[standby(100, 100, None), far], Instant::now());
    assert!(matches!(judged, Some(ThrottleReason::ReplicaLag { standby, .. }) if standby == "far"));
}

#[test]
fn moments_stay_few() {
    let mut meter = LagMeter::new(Duration::from_secs(2));
    let begun = Instant::now();
    for second in 0..10_000 {
        let stuck = standby(100 + second, 100, None);
        let _ = meter.judge(&[stuck], begun + Duration::from_secs(second.unsigned_abs()));
        assert!(meter.moments.0.len() <= MOMENTS + 1);
    }
    assert_eq!(meter.moments.0[0].0, begun, "the oldest is kept, so the lag is not taken for less");
}
