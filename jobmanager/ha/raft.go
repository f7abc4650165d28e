package ha

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/graph"
)

// Times of raft. With one voter nobody has to be waited for; they only say how soon it leads again after it could not
// write its log, and how often the idle leader looks at its lease.
const (
	electionTimeout = 500 * time.Millisecond
	leadTimeout     = 10 * time.Second // to replay the log and win the election, or to win it again before a write
	lockTimeout     = time.Second      // for the directory, while the process before this one is ending
	keptSnapshots   = 2
	writeTries      = 3
)

// voter is the only member of the cluster's configuration.
const voter = "jobmanager"

// raftStore is a Store over hashicorp/raft with a single voter.
type raftStore struct {
	raft  *raft.Raft
	state *metadata
	epoch graph.Epoch
	close func() error // of the log on disk
}

// OpenMemory returns metadata that ends with the process.
func OpenMemory(log *slog.Logger) (Store, error) {
	logs := raft.NewInmemStore()
	return open(log, logs, logs, raft.NewInmemSnapshotStore(), func() error { return nil })
}

// OpenDir returns the metadata kept in a directory, which it makes if needed and locks against other processes.
func OpenDir(dir string, log *slog.Logger) (Store, error) {
	s, err := openDir(dir, log)
	if err != nil {
		return nil, fmt.Errorf("open metadata in %s: %w", dir, err)
	}
	return s, nil
}

func openDir(dir string, log *slog.Logger) (Store, error) {
	if err := durable.MakeDir(durable.OS, dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "log.db")
	bolt, err := raftboltdb.New(raftboltdb.Options{Path: path, MsgpackUseNewTimeFormat: true, BoltOptions: &bbolt.Options{Timeout: lockTimeout}})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, errors.New("another JobManager uses this directory")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := durable.OS.SyncDir(dir); err != nil { // bolt syncs the file, not its name
		return nil, errors.Join(err, bolt.Close())
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, quiet(log))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshots: %w", err), bolt.Close())
	}
	s, err := open(log, bolt, bolt, snapshots, bolt.Close)
	if err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	return s, nil
}

func open(log *slog.Logger, logs raft.LogStore, stable raft.StableStore, snapshots raft.SnapshotStore, close func() error) (Store, error) {
	config := raft.DefaultConfig()
	config.LocalID = voter
	config.HeartbeatTimeout = 2 * electionTimeout
	config.ElectionTimeout = 2 * electionTimeout
	config.LeaderLeaseTimeout = electionTimeout
	config.Logger = quiet(log)
	config.NoLegacyTelemetry = true
	address, transport := raft.NewInmemTransport(voter)
	if err := bootstrap(config, logs, stable, snapshots, transport, address); err != nil {
		return nil, err
	}
	state := newMetadata()
	r, err := raft.NewRaft(config, state, logs, stable, snapshots, transport)
	if err != nil {
		return nil, err
	}
	s := &raftStore{raft: r, state: state, close: close}
	if err := s.lead(); err != nil {
		return nil, errors.Join(err, r.Shutdown().Error())
	}
	return s, nil
}

// bootstrap makes this process the only voter of metadata that is new.
func bootstrap(config *raft.Config, logs raft.LogStore, stable raft.StableStore, snapshots raft.SnapshotStore, transport raft.Transport, address raft.ServerAddress) error {
	exists, err := raft.HasExistingState(logs, stable, snapshots)
	if err != nil || exists {
		return err
	}
	members := raft.Configuration{Servers: []raft.Server{{ID: voter, Address: address}}}
	return raft.BootstrapCluster(config, logs, stable, snapshots, transport, members)
}

// lead makes this process the leader and takes the next epoch. A follower first waits a heartbeat timeout for a leader,
// and there is none to wait for: shortening the timeout, which is what a reload does, ends that wait at once.
func (s *raftStore) lead() error {
	reload := s.raft.ReloadableConfig()
	reload.HeartbeatTimeout, reload.ElectionTimeout = electionTimeout, electionTimeout
	if err := s.raft.ReloadConfig(reload); err != nil {
		return err
	}
	if err := s.awaitLeadership(leadTimeout); err != nil {
		return err
	}
	epoch, err := s.do(command{Lead: true})
	s.epoch = graph.Epoch(epoch)
	return err
}

func (s *raftStore) awaitLeadership(limit time.Duration) error {
	changes := make(chan raft.Observation, 1)
	observer := raft.NewObserver(changes, false, func(o *raft.Observation) bool { _, ok := o.Data.(raft.RaftState); return ok })
	s.raft.RegisterObserver(observer)
	defer s.raft.DeregisterObserver(observer)
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for s.raft.State() != raft.Leader {
		select {
		case <-changes:
		case <-timeout.C:
			return fmt.Errorf("metadata: no leader after %s", limit)
		}
	}
	return nil
}

// do appends a command to the log and answers what carrying it out gave. A leader that could not write its log steps
// down, and leads again soon; a command that was refused meanwhile is known to have had no effect and is given again.
func (s *raftStore) do(c command) (uint64, error) {
	c.Epoch = s.epoch
	data, err := json.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("metadata: %w", err)
	}
	for range writeTries {
		var number uint64
		if number, err = s.append(data); !errors.Is(err, raft.ErrNotLeader) {
			return number, err
		}
		if err := s.awaitLeadership(leadTimeout); err != nil {
			return 0, err
		}
	}
	return 0, err
}

func (s *raftStore) append(data []byte) (uint64, error) {
	f := s.raft.Apply(data, 0)
	if err := f.Error(); err != nil {
		return 0, fmt.Errorf("write metadata: %w", err)
	}
	a := f.Response().(answer)
	return a.number, a.err
}

func (s *raftStore) Epoch() graph.Epoch { return s.epoch }

func (s *raftStore) Get(key string) ([]byte, bool) { return s.state.get(key) }

func (s *raftStore) List(prefix string) []Entry { return s.state.list(prefix) }

func (s *raftStore) Apply(ops ...Op) error {
	_, err := s.do(command{Ops: ops})
	return err
}

func (s *raftStore) Next(counter string) (uint64, error) { return s.do(command{Counter: counter}) }

func (s *raftStore) Close() error { return errors.Join(s.raft.Shutdown().Error(), s.close()) }

// quiet passes on what raft has to say of errors; that a single voter elects itself is no news.
func quiet(log *slog.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "raft", Level: hclog.Error, DisableTime: true, Output: logWriter{log}})
}

// logWriter makes each line of raft's log a record of ours.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.log.Error("metadata", "raft", string(p[:max(0, len(p)-1)]))
	return len(p), nil
}
