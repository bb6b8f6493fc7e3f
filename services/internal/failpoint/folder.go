package failpoint

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Place is where a process was or will be: at a point, about something.
type Place struct{ Point, About string }

func (p Place) String() string { return strings.TrimSpace(p.Point + " " + p.About) }

// Folder is where processes note the points that they come to, and find where to die. They find it in ROSTER_FAILPOINTS. A
// file per role for either is all: whoever dies by kill -9 writes nothing afterwards.
type Folder string

func (f Folder) notes(role string) string { return filepath.Join(string(f), role+".reached") }
func (f Folder) order(role string) string { return filepath.Join(string(f), role+".armed") }

// Reached returns where the processes of a role were, in order, since Forget.
func (f Folder) Reached(role string) (places []Place, err error) {
	text, err := os.ReadFile(f.notes(role))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		point, about, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		places = append(places, Place{point, about})
	}
	return places, err
}

// Forget forgets what Reached returns.
func (f Folder) Forget(role string) error {
	if err := os.Remove(f.notes(role)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Arm lets a role die when it comes to a place for the nth time from now on, and as often again as `deaths` says: each time
// it is the nth time in the life of that process.
func (f Folder) Arm(role string, at Place, nth, deaths int) error {
	var orders bytes.Buffer
	for range deaths {
		fmt.Fprintf(&orders, "%s %d %s\n", rand.Text(), nth, at)
	}
	return f.save(role, orders.Bytes())
}

// Disarm takes back what was armed, and returns how many deaths were still to come.
func (f Folder) Disarm(role string) (left int, err error) {
	orders, err := os.ReadFile(f.order(role))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil {
		err = os.Remove(f.order(role))
	}
	return bytes.Count(orders, []byte("\n")), err
}

// save replaces the orders of a role at once. No orders, no file.
func (f Folder) save(role string, orders []byte) error {
	if len(orders) == 0 {
		return os.Remove(f.order(role))
	}
	fresh := f.order(role) + ".new"
	if err := os.WriteFile(fresh, orders, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, f.order(role))
}
