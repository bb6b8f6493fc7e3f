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

func (f Folder) note(role string, at Place) error {
	file, err := os.OpenFile(f.notes(role), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(at.String() + "\n")
	return errors.Join(err, file.Close())
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

// order is one death that was ordered.
type order struct {
	id  string // each is a new one, also when it reads the same
	nth int
	at  string
}

// next returns the death that comes first, and the orders that stay when it has come.
func (f Folder) next(role string) (o order, rest []byte, err error) {
	orders, err := os.ReadFile(f.order(role))
	if err != nil {
		return o, nil, err
	}
	first, rest, _ := bytes.Cut(orders, []byte("\n"))
	parts := strings.SplitN(string(first), " ", 3)
	if len(parts) != 3 {
		return o, nil, fmt.Errorf("%s is no order", first)
	}
	o.id, o.at = parts[0], parts[2]
	_, err = fmt.Sscan(parts[1], &o.nth)
	return o, rest, err
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
