//! Says of each fact what the rules say of its key: rules are broadcast, facts are dealt out by key.

use crate::{field, flag, keyed, timed, write};
use wasmill::prelude::*;

pub fn define(job: &Env) {
    let counts = flag(job, "count-rules", "not empty: what is said of a key is how many rules it has had");
    let (known, waiting) = (job.broadcast_state::<&str, &str>("rules"), job.list_state::<&str>("waiting"));
    let told = keyed(job, "facts").connect_broadcast(&timed(job, "rules")).process_timers(
        "rules",
        (&known, &waiting),
        |c, (_, waiting), fact| {
            waiting.add(fact);
            c.set_timer(i64::MAX - 1); // when both inputs have ended
        },
        move |c, (known, _), rule| {
            let key = field(rule, 0);
            if counts {
                let before = known.get(key).map_or(0, |n| n.parse().unwrap_or(0));
                known.put(key, c.scratch().text(format_args!("{}", before + 1)));
            } else {
                known.put(key, field(rule, 2));
            }
        },
        |c, (known, waiting), _| {
            waiting.iter().for_each(|fact| c.emit(format!("{fact},{}", known.get(field(fact, 0)).unwrap_or("-"))));
            waiting.clear();
        },
    );
    write(job, &told.uid("rules"), "told");
}
