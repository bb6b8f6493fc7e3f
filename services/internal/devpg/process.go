package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// grace is how long a shutdown may take before the next, ruder one.
const grace = 30 * time.Second

// dieWithParent makes the system end a child when its parent dies, where the system can do that.
// Elsewhere a killed process leaves its PostgreSQL behind, and the next start names it.
var dieWithParent = func(*syscall.SysProcAttr) {}

// process is a child that has started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// spawn starts a child; ended is called when the child has ended, or could not start.
//
// Linux ends the child when the thread that started it exits, not the whole process. So the thread
// is kept for as long as the child lives.
func spawn(cmd *exec.Cmd, ended func()) (*process, error) {
	cmd.WaitDelay = grace // for grandchildren that keep the output open
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with this goroutine
		defer close(p.done)
		defer ended()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	return p, <-started
}

// run runs a child to its end, or stops it when the context ends. The error quotes what it said.
func run(ctx context.Context, cmd *exec.Cmd) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	var last tail
	cmd.Stdout, cmd.Stderr = &last, &last
	p, err := spawn(cmd, func() {})
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s: %w: %s", cmd.Path, p.err, last)
		}
		return nil
	case <-ctx.Done():
		p.stop() // it fails, of course: it was interrupted
		return context.Cause(ctx)
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits. To PostgreSQL the signals mean: end the sessions and write a
// checkpoint; drop everything, recover at the next start; and the last one means it to everybody.
func (p *process) stop() error {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-p.done:
			return p.err
		case <-time.After(grace):
		}
	}
	return fmt.Errorf("process %d does not end", p.pid())
}

// tail keeps the last words of a process, for the error that reports its end.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	const most = 2000
	*t = append(*t, b...)
	if extra := len(*t) - most; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(b), nil
}

func (t tail) String() string { return strings.TrimSpace(string(t)) }
