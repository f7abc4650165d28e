package host

import (
	"math/rand/v2"

	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/host/module"
)

// WASI preview 1 is provided so that ordinary toolchains link and start, and gives nothing away: stdout and stderr are
// logs, the clock is the time of the batch, randomness is seeded, arguments and environment are empty, and there are no
// files, no sockets and no waiting. A guest computes the same whenever and wherever it runs.

// errno is what a WASI function answers.
type errno uint32

const (
	errnoSuccess    errno = 0
	errnoBadf       errno = 8
	errnoInval      errno = 28
	errnoNosys      errno = 52
	errnoSpipe      errno = 70
	errnoNotcapable errno = 76
)

// wasi is what an instance sees and leaves behind through WASI.
type wasi struct {
	random *rand.ChaCha8
	clock  clock
	stdout []byte // of the line that is not ended yet
	stderr []byte
}

func (w *wasi) init(seed uint64) {
	w.random = newRandom(seed)
	w.clock.set(firstTime)
}

func (w *wasi) setTime(milliseconds int64) { w.clock.set(milliseconds) }

// wasiFunction makes a host function that answers an errno. The parameters are given as letters: i for i32, l for i64.
func wasiFunction(name, params string, call func(i *Instance, p []uint64) errno) hostFunction {
	f := hostFunction{module: module.WASIModule, name: name, results: []api.ValueType{i32}}
	for _, c := range params {
		if c == 'l' {
			f.params = append(f.params, i64)
		} else {
			f.params = append(f.params, i32)
		}
	}
	f.call = func(i *Instance, stack []uint64) { stack[0] = uint64(call(i, stack)) }
	return f
}

// wasiDenied are the functions that are there to be linked only, with their parameters and what they answer.
var wasiDenied = []struct {
	name, params string
	answer       errno
}{
	{"fd_advise", "illi", errnoBadf},
	{"fd_allocate", "ill", errnoBadf},
	{"fd_datasync", "i", errnoBadf},
	{"fd_fdstat_set_rights", "ill", errnoBadf},
	{"fd_filestat_get", "ii", errnoBadf},
	{"fd_filestat_set_size", "il", errnoBadf},
	{"fd_filestat_set_times", "illi", errnoBadf},
	{"fd_pread", "iiili", errnoBadf},
	{"fd_prestat_dir_name", "iii", errnoBadf},
	{"fd_prestat_get", "ii", errnoBadf}, // what ends the search for directories in every libc
	{"fd_pwrite", "iiili", errnoBadf},
	{"fd_readdir", "iiili", errnoBadf},
	{"fd_renumber", "ii", errnoBadf},
	{"fd_sync", "i", errnoBadf},
	{"path_create_directory", "iii", errnoNotcapable},
	{"path_filestat_get", "iiiii", errnoNotcapable},
	{"path_filestat_set_times", "iiiilli", errnoNotcapable},
	{"path_link", "iiiiiii", errnoNotcapable},
	{"path_open", "iiiiillii", errnoNotcapable},
	{"path_readlink", "iiiiii", errnoNotcapable},
	{"path_remove_directory", "iii", errnoNotcapable},
	{"path_rename", "iiiiii", errnoNotcapable},
	{"path_symlink", "iiiii", errnoNotcapable},
	{"path_unlink_file", "iii", errnoNotcapable},
	{"proc_raise", "i", errnoNosys},
	{"sock_accept", "iii", errnoNosys},
	{"sock_recv", "iiiiii", errnoNosys},
	{"sock_send", "iiiii", errnoNosys},
	{"sock_shutdown", "ii", errnoNosys},
}

func wasiFunctions() []hostFunction {
	list := []hostFunction{
		argsGet, argsSizesGet, environGet, environSizesGet, clockResGet, clockTimeGet, fdClose, fdFdstatGet,
		fdFdstatSetFlags, fdRead, fdSeek, fdTell, fdWrite, pollOneoff, procExit, randomGet, schedYield,
	}
	for _, d := range wasiDenied {
		list = append(list, wasiFunction(d.name, d.params, func(*Instance, []uint64) errno { return d.answer }))
	}
	return list
}

// Arguments and environment are empty: counts and sizes are zero, and there is nothing to get.
//
//	args_sizes_get(argc ptr, size ptr) -> errno: writes 0 to both
var (
	argsGet         = wasiFunction("args_get", "ii", nothing)
	argsSizesGet    = wasiFunction("args_sizes_get", "ii", noSizes)
	environGet      = wasiFunction("environ_get", "ii", nothing)
	environSizesGet = wasiFunction("environ_sizes_get", "ii", noSizes)
)

func nothing(*Instance, []uint64) errno { return errnoSuccess }

func noSizes(i *Instance, p []uint64) errno {
	clear(i.view("count", uint32(p[0]), 4))
	clear(i.view("size", uint32(p[1]), 4))
	return errnoSuccess
}

// randomGet fills len bytes at ptr from a generator seeded for the instance: an instance started again with the same
// seed sees the same bytes.
//
//	random_get(ptr, len i32) -> errno
var randomGet = wasiFunction("random_get", "ii", func(i *Instance, p []uint64) errno {
	_, _ = i.wasi.random.Read(i.view("random_get", uint32(p[0]), uint32(p[1]))) // never fails
	return errnoSuccess
})

// schedYield does nothing: the guest has no other thread.
//
//	sched_yield() -> errno
var schedYield = wasiFunction("sched_yield", "", nothing)

// procExit ends the call, and with it the instance.
//
//	proc_exit(status i32)
//
// For example, a C guest's exit(3) comes out as an error of KindExit, "exit status 3".
var procExit = hostFunction{
	module: module.WASIModule, name: "proc_exit", params: []api.ValueType{i32},
	call: func(_ *Instance, stack []uint64) {
		panic(errorf(KindExit, "exit status %d", uint32(stack[0])))
	},
}
