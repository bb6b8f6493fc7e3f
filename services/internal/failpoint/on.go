//go:build failpoints

package failpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Point is a place where a process may die.
type Point struct{ name string }

func point(name string) Point { return Point{name} }

// Hit says that the process is at the point, and about what: a method, a type of event, or nothing.
func (p Point) Hit(about string) { here.hit(Place{Point: p.name, About: about}) }

// here is this process. Its role is the first argument of its command line.
var here = process{folder: Folder(os.Getenv("ROSTER_FAILPOINTS"))}

type process struct {
	folder Folder

	mu    sync.Mutex
	order string // the one that is counted for
	count int    // how often the process has come to its place
}

func (p *process) hit(at Place) {
	if p.folder == "" || len(os.Args) < 2 {
		return
	}
	role := os.Args[1]
	p.mu.Lock()
	defer p.mu.Unlock()
	must(p.folder.note(role, at))
	next, rest, err := p.folder.next(role)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	must(err)
	if next.id != p.order {
		p.order, p.count = next.id, 0
	}
	if next.at != at.String() {
		return
	}
	if p.count++; p.count < next.nth {
		return
	}
	must(p.folder.save(role, rest))
	must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	select {} // with the lock: nobody comes past another point meanwhile
}

func (f Folder) note(role string, at Place) error {
	file, err := os.OpenFile(f.notes(role), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(at.String() + "\n")
	return errors.Join(err, file.Close())
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

// must stops a process that cannot do as it is told: a crash that does not come would prove nothing.
func must(err error) {
	if err != nil {
		panic("failpoint: " + err.Error())
	}
}
