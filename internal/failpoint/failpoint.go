// Package failpoint names the places where a test may break the system: points at which a process is killed, paused or
// slowed down, and steps of a protocol that are left out, to see that the tests notice. In a normal build both cost
// nothing and do nothing; a build with the tag failpoint asks the environment (names with WASMILL_ are options').
//
//	FAILPOINT='checkpoint-acked=kill@3'   the third time that point is reached, the process kills itself
//	FAILPOINT='restoring=pause:2s@1'      it sleeps
//	FAILPOINT='restoring=kill'            every time
//	FAILPOINT='aligning=stop@1'           it stops, as by SIGSTOP, until somebody has it continue
//	FAILPOINT='reading=pause:50ms?/tmp/x' it sleeps every time, as long as there is a file of that name
//	FAILPOINT='request=lost:0.1?/tmp/x'   one control request in ten is carried out and its answer lost; or drop, twice
//	FAILPOINT='request:deploy=twice:1@2'  that happens to the second request of that name
//	FAILPOINT_PLANTED='skip-fsync'                  that step is left out
//
// They are separated by commas; several may be about one point. What took effect is written to the file that
// FAILPOINT_LOG names, a line each, except what holds as long as there is a file. FAILPOINT_SEED chooses requests.
package failpoint

// Point is a place where a test may break the process: one in each phase of a job's life.
type Point string

const (
	Submit         Point = "submit"          // JobManager: the job is stored, nothing of it runs
	Deploy         Point = "deploy"          // TaskManager: tasks were made, none runs
	Running        Point = "running"         // TaskManager: a task has processed a batch
	TriggerLogged  Point = "trigger-logged"  // JobManager: the checkpoint has a number, nobody knows of it
	BarrierFlight  Point = "barrier-flight"  // TaskManager: a source has sent its barrier
	Aligning       Point = "aligning"        // TaskManager: the first of several barriers is here, or what one has overtaken is waited for
	SyncSnapshot   Point = "sync-snapshot"   // TaskManager: sinks have prepared, state is not frozen yet
	AsyncUpload    Point = "async-upload"    // TaskManager: the file is written, not yet in the store
	Acked          Point = "acked"           // JobManager: a part was taken note of
	DecisionLogged Point = "decision-logged" // JobManager: the decision is stored, nobody knows of it
	CommitNotified Point = "commit-notified" // TaskManager: it was told to commit, and has not
	SinkCommitting Point = "sink-committing" // TaskManager: some of the output is committed
	RetentionGC    Point = "retention-gc"    // JobManager: some of the garbage is deleted
	Restoring      Point = "restoring"       // TaskManager: a task opens what it is restored from
	Rescaling      Point = "rescaling"       // JobManager: the new graph is stored, the old attempt runs
	Savepoint      Point = "savepoint"       // JobManager: files are copied, nothing is sealed
	Upgrade        Point = "upgrade"         // JobManager: the new module is checked, the old one runs
)

// Places that are in no phase.
const (
	Reading Point = "reading" // TaskManager: a source is about to read a batch; where tests slow a job down
	Request Point = "request" // a control request is about to be sent

	Prepared  Point = "prepared"  // TaskManager: guests of another module are started, the tasks run with the old ones
	Exchanged Point = "exchanged" // TaskManager: a task has exchanged its guests, which is not decided
	Adopting  Point = "adopting"  // JobManager: a file of the savepoint that a job goes on from is copied
)

// Fate is what becomes of a control request.
type Fate int

const (
	Sent    Fate = iota
	Dropped      // it is not sent, and the caller is told that nobody answers
	Twice        // it is sent twice
	Lost         // it is sent, and the caller is told that nobody answers
)

// Points are those of the phases, in the order of a job's life.
var Points = []Point{
	Submit, Deploy, Running, TriggerLogged, BarrierFlight, Aligning, SyncSnapshot, AsyncUpload, Acked, DecisionLogged,
	CommitNotified, SinkCommitting, RetentionGC, Restoring, Rescaling, Savepoint, Upgrade,
}

// Bug is a step of a protocol that can be left out.
type Bug string

const (
	SkipFsync           Bug = "skip-fsync"            // objects are put without a sync
	UnsyncedOutput      Bug = "unsynced-output"       // output is prepared without a sync
	AckBeforeUpload     Bug = "ack-before-upload"     // a part is acknowledged before its file is in the store
	CommitBeforeDecide  Bug = "commit-before-decide"  // output is committed when it is prepared
	NoFencing           Bug = "no-fencing"            // messages of older attempts and epochs are taken
	LoseTimer           Bug = "lose-timer"            // timers are left out of snapshots
	ForgetInFlight      Bug = "forget-in-flight"      // in-flight batches of an unaligned checkpoint are not restored
	ForgetRequests      Bug = "forget-requests"       // records that wait for an answer are not restored
	WrongKeyGroups      Bug = "wrong-key-groups"      // a restored task leaves out its last key group
	SkipAlignment       Bug = "skip-alignment"        // a snapshot is taken at the first barrier of several
	ForgetPosition      Bug = "forget-position"       // a source goes on at the beginning of its split
	ReplayDoneSplit     Bug = "replay-done-split"     // a split that was read is given out again
	ForgetAborted       Bug = "forget-aborted"        // what was frozen for an aborted checkpoint is dropped
	DropPreparedAborted Bug = "drop-prepared-aborted" // output prepared for an aborted checkpoint is dropped
	NoRecommit          Bug = "no-recommit"           // a decided checkpoint is not committed again after a restore
	AbortBeforeCommit   Bug = "abort-before-commit"   // pending output is removed before what was decided is committed
	TrustDamaged        Bug = "trust-damaged"         // checksums are not compared
	TrustLocal          Bug = "trust-local"           // a file that was kept on the machine is taken as it is
	RestoreOldest       Bug = "restore-oldest"        // the oldest retained checkpoint is restored, not the newest
	DeleteNamed         Bug = "delete-named"          // garbage collection deletes what a retained manifest names
	ReuseID             Bug = "reuse-id"              // checkpoint numbers begin anew with each JobManager
	ForgetTombstone     Bug = "forget-tombstone"      // deletes are left out of snapshots
	MutateFrozen        Bug = "mutate-frozen"         // what was frozen shows later changes
	OverlayLeak         Bug = "overlay-leak"          // state changes of a call that trapped are kept
	RepeatPassed        Bug = "repeat-passed"         // what passed before the record that a guest traps on is done again
	ForgetFinished      Bug = "forget-finished"       // output of tasks that have finished is left out of the decision
	ForgetExchange      Bug = "forget-exchange"       // the decision of an exchange leaves the job its old module
	FiredAgain          Bug = "fired-again"           // what is restored forgets watermarks and which windows have fired
	ForgetPromised      Bug = "forget-promised"       // a split goes on without what was promised of it
	UncutChain          Bug = "uncut-chain"           // every part of a chain that is cut goes on from all of its files
	ForgetRead          Bug = "forget-read"           // in batch mode, what a task has read that is kept is read again
	TrustLost           Bug = "trust-lost"            // in batch mode, what a lost TaskManager had is taken to be there
	StaleChange         Bug = "stale-change"          // a graph that was worked out from what the job was before another change is taken
	LoseElements        Bug = "lose-elements"         // records that windows keep are left out of snapshots
	ForgetTrigger       Bug = "forget-trigger"        // what a trigger of the guest's keeps of a window is forgotten
	OneCopy             Bug = "one-copy"              // only the first subtask goes on with a broadcast state
	DealtToAll          Bug = "dealt-to-all"          // a list that is to be dealt out is given to every subtask
	FoldedBehind        Bug = "folded-behind"         // what was folded ahead goes behind the barrier
	DropSide            Bug = "drop-side"             // records of a join are removed before the last window that they are in
	ForgetEmitted       Bug = "forget-emitted"        // which keys of a window a snapshot in the middle of it had put out is forgotten
	ForgetRefresh       Bug = "forget-refresh"        // what is written again ends by event time when it would have ended
	GiveUpUnstored      Bug = "give-up-unstored"      // output is given up before that is stored
)

// Bugs are all of them.
var Bugs = []Bug{
	SkipFsync, UnsyncedOutput, AckBeforeUpload, CommitBeforeDecide, NoFencing, LoseTimer, ForgetInFlight, WrongKeyGroups, SkipAlignment,
	ForgetPosition, ReplayDoneSplit, ForgetAborted, DropPreparedAborted, NoRecommit, AbortBeforeCommit, TrustDamaged, TrustLocal,
	RestoreOldest, DeleteNamed, ReuseID, ForgetTombstone, MutateFrozen, OverlayLeak, RepeatPassed, ForgetFinished, ForgetExchange, FiredAgain,
	ForgetPromised, UncutChain, ForgetRequests, StaleChange, LoseElements, ForgetTrigger, OneCopy, DealtToAll, FoldedBehind, DropSide,
	ForgetRefresh, ForgetRead, TrustLost, ForgetEmitted, GiveUpUnstored,
}
