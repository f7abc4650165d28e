package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

// sessions counts the clicks of each visit: of a user, without a pause of 20 minutes.
func sessions(from shop, to *wasmill.FilesSink) {
	wasmill.KeyBy(from.clicks(), "user", func(c Click) string { return c.User }).
		Window(wasmill.Session(20 * time.Minute)).
		Count().UID("sessions").
		SinkTo(to)
}
