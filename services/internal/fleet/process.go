package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Process is one process of the fleet: a copy of a role, or the NATS server. Its methods are for one goroutine at a time.
type Process struct {
	Name string // billing-1
	Role string // billing

	path, log string
	args, env []string
	readyz    string // address that answers 200 once the process is ready

	running *running
}

// running is one life of a process.
type running struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read after done
}

// LogFile is where everything goes that the process has said, in all its lives.
func (p *Process) LogFile() string { return p.log }

// PID is the number of the process that was started last.
func (p *Process) PID() int { return p.running.cmd.Process.Pid }

// Admin is where the process tells metrics and health: http://127.0.0.1:45123.
func (p *Process) Admin() string { return strings.TrimSuffix(p.readyz, "/readyz") }

// Done is closed when the process that was started last has ended, however it ended.
func (p *Process) Done() <-chan struct{} { return p.running.done }

// Start starts the process, again after it has ended. It does not wait until it is ready.
func (p *Process) Start(context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	r := &running{cmd: exec.Command(p.path, p.args...), done: make(chan struct{})}
	r.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, p.env...)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in a terminal is for us alone, who then ask in turn
	dieWithParent(r.cmd.SysProcAttr)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Linux ends the child when the thread that started it ends; this one ends with the goroutine
		defer close(r.done)
		err := r.cmd.Start()
		started <- err
		if err == nil {
			r.err = r.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.running = r
	return nil
}

// Ready waits until the process says that it is ready. It fails when the process has ended.
func (p *Process) Ready(ctx context.Context) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.readyz, nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(req); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended before it was ready: %w: %s", p.Name, p.running.err, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.Name, ctx.Err(), p.lastWords())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop asks the process to end and waits until it has. It fails when the process ends badly, or not in time, and then
// it is killed.
func (p *Process) Stop(ctx context.Context) error {
	if p.running == nil {
		return nil
	}
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("stop %s: %w", p.Name, ctx.Err())
	}
	if status, ok := errors.AsType[*exec.ExitError](p.running.err); ok && status.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return nil // killed before, on purpose
	}
	if p.running.err != nil {
		return fmt.Errorf("stop %s: %w: %s", p.Name, p.running.err, p.lastWords())
	}
	return nil
}

// Kill ends the process at once (SIGKILL), wherever it is in its work, and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.Done()
}

// Pause stops the process where it is (SIGSTOP); it lives on with Resume.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

// signal sends a signal, unless the process has ended.
func (p *Process) signal(s os.Signal) { _ = p.running.cmd.Process.Signal(s) }

// lastWords are the end of the log.
func (p *Process) lastWords() []byte {
	said, _ := os.ReadFile(p.log)
	return said[max(0, len(said)-2000):]
}

// dieWithParent makes the system end a child when its parent dies, where the system can do that.
var dieWithParent = func(*syscall.SysProcAttr) {}
