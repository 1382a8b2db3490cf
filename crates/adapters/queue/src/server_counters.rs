//! What Redis itself counts, for measurements.

use std::collections::HashMap;

/// Commands that only the scripts of this crate call in ordinary work. `HGET` is among them too, but is also what a worker polls the
/// breakers with.
const OF_SCRIPTS: [&str; 6] = ["time", "hmget", "hset", "expire", "xlen", "xinfo|groups"];

/// Totals since the server started; only their differences say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCounters {
    /// Commands carried out, those inside scripts counted.
    pub commands: u64,
    /// Those of them that scripts called.
    pub commands_of_scripts: u64,
}

/// From the answer to `INFO`; `None` when it does not tell.
pub(crate) fn parse(info: &str) -> Option<ServerCounters> {
    let values: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let calls = |command: &&str| {
        let counted = values.get(format!("cmdstat_{command}").as_str())?;
        counted.split(',').find_map(|field| field.strip_prefix("calls="))?.parse::<u64>().ok()
    };
    Some(ServerCounters {
        commands: values.get("total_commands_processed")?.parse().ok()?,
        // What was never called is not listed.
        commands_of_scripts: OF_SCRIPTS.iter().filter_map(calls).sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_those_of_scripts_are_told_apart() {
        let info = "# Stats\r\ntotal_connections_received:5\r\ntotal_commands_processed:41\r\n\r\n# Commandstats\r\n\
            cmdstat_xadd:calls=20,usec=9,usec_per_call=1.5,rejected_calls=0,failed_calls=0\r\n\
            cmdstat_xlen:calls=3,usec=9,usec_per_call=1.5,rejected_calls=0,failed_calls=0\r\n\
            cmdstat_xinfo|groups:calls=4,usec=9,usec_per_call=1.5,rejected_calls=0,failed_calls=0\r\n";
        assert_eq!(parse(info), Some(ServerCounters { commands: 41, commands_of_scripts: 7 }));
        assert_eq!(parse("# Stats\r\n"), None);
    }
}
