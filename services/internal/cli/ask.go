package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// errStopped says that the person at the terminal did not want it after all.
var errStopped = errors.New("stopped, nothing was changed")

// lines reads lines without losing what comes behind them.
type lines struct{ *bufio.Reader }

func newLines(r io.Reader) *lines { return &lines{bufio.NewReader(r)} }

// read returns the next line, or gives up when the context ends; the read itself goes on then, the process does not.
func (l *lines) read(ctx context.Context) (string, error) {
	return await(ctx, func() (string, error) {
		line, err := l.ReadString('\n')
		if err == io.EOF && line != "" {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	})
}

func await(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", errStopped
	case r := <-done:
		return r.line, r.err
	}
}

// confirm asks before something of consequence. yes is the flag that answers in advance; about, called only when a
// question is asked, says what will happen.
func (a *app) confirm(ctx context.Context, yes bool, about func() (string, error)) error {
	if yes {
		return nil
	}
	if !a.Interactive {
		return usageError{"this asks first, and there is no terminal to ask on: say --yes"}
	}
	question, err := about()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%s [y/N] ", clean(question))
	answer, err := a.lines.read(ctx)
	if err != nil && err != io.EOF {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errStopped
	}
	return nil
}

// ask returns what was given on the command line, or asks for it. name is what the help calls it.
func (a *app) ask(ctx context.Context, given, name, question string) (string, error) {
	if given != "" {
		return given, nil
	}
	if !a.Interactive {
		return "", usageError{name + " is missing"}
	}
	fmt.Fprintf(a.Err, "%s: ", question)
	answer, err := a.lines.read(ctx)
	if err == io.EOF {
		return "", errStopped
	}
	return strings.TrimSpace(answer), err
}

// optional is the first argument, if there is one.
func optional(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// password reads a password from standard input, or asks for it, twice when it is new.
func (a *app) password(ctx context.Context, stdin, isNew bool) (string, error) {
	switch {
	case stdin:
		password, err := a.lines.read(ctx)
		if err == io.EOF || (err == nil && password == "") {
			return "", usageError{"standard input holds no password"}
		}
		return password, err
	case !a.Interactive:
		return "", usageError{"there is no terminal to ask for the password on: use --password-stdin"}
	}
	password, err := a.secret(ctx, "Password: ")
	if err != nil || !isNew {
		return password, err
	}
	again, err := a.secret(ctx, "Again: ")
	if err != nil {
		return "", err
	}
	if password != again {
		return "", usageError{"the two passwords differ"}
	}
	return password, nil
}

func (a *app) secret(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(a.Err, prompt)
	secret, err := a.ReadSecret(ctx)
	fmt.Fprintln(a.Err)
	if err == io.EOF {
		return "", errStopped
	}
	return secret, err
}

// Terminal is the console of the process.
func Terminal() Console {
	dir, _ := os.UserConfigDir() // empty: nothing can be kept, and what needs it says so
	stdin := int(os.Stdin.Fd())
	return Console{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Interactive: term.IsTerminal(stdin) && term.IsTerminal(int(os.Stderr.Fd())),
		ReadSecret: func(ctx context.Context) (string, error) {
			before, err := term.GetState(stdin)
			if err != nil {
				return "", err
			}
			secret, err := await(ctx, func() (string, error) {
				line, err := term.ReadPassword(stdin)
				return string(line), err
			})
			if ctx.Err() != nil { // the read goes on, so it has not turned the echo on again
				term.Restore(stdin, before)
			}
			return secret, err
		},
		Getenv:    os.Getenv,
		ConfigDir: dir,
		Now:       time.Now,
	}
}
