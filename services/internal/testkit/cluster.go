package testkit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rosterhq/roster/services/internal/devpg"
)

// shared is the cluster of this test binary: starting one takes a second, a database in it does not.
var shared struct {
	once    sync.Once
	cluster *devpg.Cluster
	folder  *os.File // open and locked for as long as we live
	err     error
}

// Cluster returns the PostgreSQL of this test binary, started on first use. Its data is gone when
// the tests end. A machine without PostgreSQL fails the test and says what to do.
func Cluster(t testing.TB) *devpg.Cluster {
	t.Helper()
	shared.once.Do(func() { shared.err = startCluster() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

func startCluster() (err error) {
	sweep()
	if shared.folder, err = lockedFolder(); err != nil {
		return err
	}
	// Not the context of the test that happens to come first: the cluster outlives it.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	shared.cluster, err = devpg.Start(ctx, shared.folder.Name(), devpg.Options{Fast: true})
	return err
}

func stopCluster() error {
	var err error
	if shared.cluster != nil {
		err = shared.cluster.Destroy()
	}
	if shared.folder != nil {
		err = errors.Join(err, os.RemoveAll(shared.folder.Name()), shared.folder.Close())
	}
	return err
}

const folderPattern = "roster-test-*"

// parent is where clusters are: in memory, where there is plenty. A database is hundreds of files, and every test makes and drops one;
// file systems on disks take most of a processor for that. TMPDIR says otherwise.
func parent() string {
	const memory, plenty = "/dev/shm", 2 << 30
	var there syscall.Statfs_t
	if err := syscall.Statfs(memory, &there); err != nil || os.Getenv("TMPDIR") != "" || uint64(there.Bavail)*uint64(there.Bsize) < plenty {
		return os.TempDir()
	}
	return memory
}

// lockedFolder makes a temporary folder that PostgreSQL's user can enter, and locks it so that no
// other test binary sweeps it.
func lockedFolder() (*os.File, error) {
	dir, err := os.MkdirTemp(parent(), folderPattern)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return folder, syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// sweep removes the folders of test binaries that died before Main could: those that panicked, ran
// into a timeout or were killed. The system released their locks.
func sweep() {
	const young = time.Hour // perhaps not locked yet, perhaps of interest
	folders, _ := filepath.Glob(filepath.Join(parent(), folderPattern))
	for _, dir := range folders {
		folder, err := os.Open(dir)
		if err != nil {
			continue // somebody else's
		}
		info, err := folder.Stat()
		if err == nil && time.Since(info.ModTime()) > young && syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			os.RemoveAll(dir) // a failure leaves it to the next run
		}
		folder.Close()
	}
}
