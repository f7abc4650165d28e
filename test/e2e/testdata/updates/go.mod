module github.com/wasmill/wasmill/test/e2e/testdata/updates

go 1.24

require github.com/wasmill/wasmill/guest-sdk/go v0.0.0

replace github.com/wasmill/wasmill/guest-sdk/go => ../../../../guest-sdk/go
