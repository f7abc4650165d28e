package module

import (
	"maps"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// WASIModule is the module name of the WASI preview 1 functions.
const WASIModule = "wasi_snapshot_preview1"

// MeterModule is the module name that a metered module imports from. Uploads may not use it, nor export names that
// begin with it.
const MeterModule = "wasmill_meter"

// signature reads a type written as one letter a value, parameters and results parted by ">": i is i32, l is i64.
func signature(s string) FuncType {
	params, results, _ := strings.Cut(s, ">")
	values := func(s string) (ts []ValueType) {
		for _, c := range s {
			if c == 'l' {
				ts = append(ts, I64)
			} else {
				ts = append(ts, I32)
			}
		}
		return ts
	}
	return FuncType{Params: values(params), Results: values(results)}
}

// known is what each module gives.
var known = map[string]map[string]string{
	abi.ImportModule: {
		abi.ImportEmit:      "iii>",
		abi.ImportReply:     "ii>",
		abi.ImportWatermark: "l>",
		abi.ImportState:     "iiiii>i",
		abi.ImportLog:       "iii>",
		abi.ImportMetric:    "iiil>",
		abi.ImportParam:     "iiii>i",
		abi.ImportFail:      "ii>",
	},
	WASIModule: {
		"args_get":                "ii>i",
		"args_sizes_get":          "ii>i",
		"environ_get":             "ii>i",
		"environ_sizes_get":       "ii>i",
		"clock_res_get":           "ii>i",
		"clock_time_get":          "ili>i",
		"fd_advise":               "illi>i",
		"fd_allocate":             "ill>i",
		"fd_close":                "i>i",
		"fd_datasync":             "i>i",
		"fd_fdstat_get":           "ii>i",
		"fd_fdstat_set_flags":     "ii>i",
		"fd_fdstat_set_rights":    "ill>i",
		"fd_filestat_get":         "ii>i",
		"fd_filestat_set_size":    "il>i",
		"fd_filestat_set_times":   "illi>i",
		"fd_pread":                "iiili>i",
		"fd_prestat_get":          "ii>i",
		"fd_prestat_dir_name":     "iii>i",
		"fd_pwrite":               "iiili>i",
		"fd_read":                 "iiii>i",
		"fd_readdir":              "iiili>i",
		"fd_renumber":             "ii>i",
		"fd_seek":                 "ilii>i",
		"fd_sync":                 "i>i",
		"fd_tell":                 "ii>i",
		"fd_write":                "iiii>i",
		"path_create_directory":   "iii>i",
		"path_filestat_get":       "iiiii>i",
		"path_filestat_set_times": "iiiilli>i",
		"path_link":               "iiiiiii>i",
		"path_open":               "iiiiillii>i",
		"path_readlink":           "iiiiii>i",
		"path_remove_directory":   "iii>i",
		"path_rename":             "iiiiii>i",
		"path_symlink":            "iiiii>i",
		"path_unlink_file":        "iii>i",
		"poll_oneoff":             "iiii>i",
		"proc_exit":               "i>",
		"proc_raise":              "i>i",
		"random_get":              "ii>i",
		"sched_yield":             ">i",
		"sock_accept":             "iii>i",
		"sock_recv":               "iiiiii>i",
		"sock_send":               "iiiii>i",
		"sock_shutdown":           "ii>i",
	},
}

// HostFunctions lists what a guest may import from a module (abi.ImportModule or WASIModule), in the order of names.
func HostFunctions(module string) []string { return slices.Sorted(maps.Keys(known[module])) }

// HostFunction is the type of one of them.
func HostFunction(module, name string) (FuncType, bool) {
	s, ok := known[module][name]
	return signature(s), ok
}

// export is one function of the contract that a guest exports.
type export struct {
	name, signature string
	required        bool
}

var contract = []export{
	{abi.ExportDescribe, "ii>l", true},
	{abi.ExportBuffer, "i>i", true},
	{abi.ExportOpen, "iii>i", true},
	{abi.ExportProcess, "iii>i", true},
	{abi.ExportKeyed, "iiii>i", false}, // that a keyed function needs it is known with the manifest
	{abi.ExportClose, "i>i", false},
	{abi.ExportMigrate, "iiii>i", false},
	{"_initialize", ">", false},
}
