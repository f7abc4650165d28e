module github.com/wasmill/wasmill/guest-sdk/go

go 1.24
