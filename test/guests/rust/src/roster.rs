//! Holds lines back in lists of the operator, on streams without key, until the end is called.

use crate::{lines, number, write};
use wasmill::prelude::*;
use wasmill::ListState;

/// Lists of the odd lines, of the even ones, and of the ends that were called.
type Lists<'x> = (ListState<'x, &'x str>, ListState<'x, &'x str>, ListState<'x, &'x str>);

pub fn define(job: &Env) {
    let most = job.param_i64_or("most", 8, "lines that a list holds back") as usize;
    let (held, shared, ended) = (job.operator_list_state("held"), job.union_list_state("shared"), job.union_list_state("ended"));
    let (numbers, calls) = (lines(job, "input").rebalance(), lines(job, "calls").broadcast());
    let out = numbers.connect(&calls).process(
        "roster",
        begin((&held, &shared, &ended), take),
        move |c, (held, shared, ended): &Lists, line| {
            let list = if number(line, 0) % 2 != 0 { held } else { shared };
            list.add(line);
            if ended.iter().next().is_some() || list.iter().count() >= most {
                let_go(c, list);
            }
        },
        |c, (held, shared, ended), call| {
            if call == "end" {
                ended.add(call);
                let_go(c, held);
                let_go(c, shared);
            }
        },
    );
    write(job, &out.uid("roster"), "");
}

/// Keeps those of the shared lines that are this subtask's, and one end of all that were called.
fn take<'x>(c: &StreamContext<'x, &'x str>, (_, shared, ended): &Lists<'x>) {
    let (subtask, of) = c.subtask();
    let mine: Vec<&str> = shared.iter().filter(|line| number(line, 0) / 2 % i64::from(of) == i64::from(subtask)).collect();
    shared.clear();
    mine.into_iter().for_each(|line| shared.add(line));
    let end = ended.iter().next();
    ended.clear();
    end.into_iter().for_each(|end| ended.add(end));
}

fn let_go<'x>(c: &StreamContext<'x, &'x str>, list: &ListState<'x, &'x str>) {
    list.iter().for_each(|line| c.emit(line));
    list.clear();
}
