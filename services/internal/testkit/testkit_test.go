package testkit

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
)

func TestMain(m *testing.M) { Main(m) }

func TestClusterIsShared(t *testing.T) {
	t.Parallel()
	c := Cluster(t)
	if Cluster(t) != c {
		t.Error("the second use starts another cluster")
	}
	conn, err := pgx.Connect(t.Context(), c.DSN("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNATSIsOnesOwn(t *testing.T) {
	t.Parallel()
	for range 2 { // the name is free in each
		conn, err := NATS(t).Connect()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SAME", Subjects: []string{"same"}}); err != nil {
			t.Error(err)
		}
	}
}

func TestSweepTakesOnlyWhatIsAbandoned(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	long := time.Now().Add(-2 * time.Hour)
	folder := func(release bool, changed time.Time) string {
		f, err := lockedFolder()
		if err != nil {
			t.Fatal(err)
		}
		if release {
			f.Close()
		} else {
			t.Cleanup(func() { f.Close() })
		}
		if err := os.Chtimes(f.Name(), changed, changed); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	abandoned, locked, young := folder(true, long), folder(false, long), folder(true, time.Now())
	sweep()
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	if _, err := os.Stat(abandoned); err == nil || len(left) != 2 {
		t.Errorf("left %v, want %s and %s", left, locked, young)
	}
}
