//! Ten jobs that Flink's users know, a file each; docs/flink.md has each beside the same in Java. A parameter says which of them to
//! run. They read orders and clicks of a shop, as CSV.

mod abandoned;
mod attributed;
mod average;
mod categories;
mod converted;
mod first;
mod hourly;
mod revenue;
mod sessions;
mod top;

use categories::ItemRef;
use wasmill::prelude::*;

#[derive(Clone, Row)]
struct Order<'x> {
    user: &'x str,
    item: &'x str,
    amount: i64, // cents
    at: Millis,
}

#[derive(Clone, Row)]
struct Click<'x> {
    user: &'x str,
    item: &'x str,
    at: Millis,
}

/// Where a job has its input from.
struct Shop<'a, 'x> {
    job: &'a Env<'x>,
    data: String,
}

impl<'x> Shop<'_, 'x> {
    fn orders(&self) -> Stream<'x, OrderRef<'x>> {
        let from = csv_files(format!("{}/orders.csv", self.data)).header().timestamps(mins(1), &["at"]);
        self.job.source(from).name("orders")
    }

    fn clicks(&self) -> Stream<'x, ClickRef<'x>> {
        let from = csv_files(format!("{}/clicks.csv", self.data)).header().timestamps(mins(1), &["at"]);
        self.job.source(from).name("clicks")
    }

    fn items(&self) -> Stream<'x, ItemRef<'x>> {
        self.job.source(csv_files(format!("{}/items.csv", self.data)).header()).name("items")
    }
}

wasmill::job!("flink", define);

fn define(job: &Env) {
    let name = job.param("job", "which one to run");
    let from = Shop { job, data: job.param("data", "directory with orders.csv, clicks.csv and items.csv") };
    let to = file_sink(job.param("output", "directory to write"));
    match name.as_str() {
        "" => {}
        "revenue" => revenue::revenue(&from, to),
        "hourly" => hourly::hourly(&from, to),
        "average" => average::average(&from, to),
        "sessions" => sessions::sessions(&from, to),
        "abandoned" => abandoned::abandoned(&from, to),
        "attributed" => attributed::attributed(&from, to),
        "first" => first::first(&from, to),
        "top" => top::top(&from, to),
        "converted" => converted::converted(&from, to),
        "categories" => categories::categories(&from, to),
        _ => job.refuse(&format!("parameter \"job\": {name:?} (expected one of those in docs/flink.md)")),
    }
}
