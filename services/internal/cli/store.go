package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// keptServer is what is kept of one server. A person's session and an operator's key are never used in place of each other.
type keptServer struct {
	Session      *keptSession  `json:"session,omitempty"`
	Operator     *keptOperator `json:"operator,omitempty"`
	Organization string        `json:"organization,omitempty"` // what `roster org use` has saved
}

type keptSession struct {
	ID        string `json:"id"`
	AccountID string `json:"accountId"`
	Token     string `json:"token"`
}

type keptOperator struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

// kept is the credentials file.
type kept struct {
	Servers map[string]*keptServer `json:"servers"`
}

func (a *app) keptPath() string { return filepath.Join(a.ConfigDir, "roster", "credentials.json") }

// saved returns what is kept of the server that is called.
func (a *app) saved() (keptServer, error) {
	all, err := a.load()
	if err != nil || all.Servers[a.address()] == nil {
		return keptServer{}, err
	}
	return *all.Servers[a.address()], nil
}

func (a *app) load() (kept, error) {
	all := kept{Servers: map[string]*keptServer{}}
	if a.ConfigDir == "" {
		return all, nil
	}
	path := a.keptPath()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return all, usageError{fmt.Sprintf("others may read your credentials: chmod 600 %s", path)}
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return all, err
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return all, fmt.Errorf("%s is damaged, remove it and sign in again: %w", path, err)
	}
	if all.Servers == nil {
		all.Servers = map[string]*keptServer{}
	}
	return all, nil
}

// keep changes what is kept of the server that is called. Another run sees the file before or after, never a part.
func (a *app) keep(change func(*keptServer)) error {
	if a.ConfigDir == "" {
		return errors.New("there is no folder to keep credentials in: set HOME or XDG_CONFIG_HOME")
	}
	all, err := a.load()
	if err != nil {
		return err
	}
	server := all.Servers[a.address()]
	if server == nil {
		server = &keptServer{}
	}
	change(server)
	all.Servers[a.address()] = server
	if *server == (keptServer{}) {
		delete(all.Servers, a.address())
	}
	body, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	path := a.keptPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), "credentials-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // gone already when all went well
	if _, err := draft.Write(append(body, '\n')); err != nil {
		draft.Close()
		return err
	}
	if err := draft.Close(); err != nil {
		return err
	}
	return os.Rename(draft.Name(), path)
}
