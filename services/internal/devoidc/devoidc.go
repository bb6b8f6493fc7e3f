// Package devoidc runs a real OpenID Connect provider, of another make than ours, for tests and development: the npm package oidc-provider. What is
// installed is in package-lock.json.
package devoidc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed server.js package.json package-lock.json .npmrc
var files embed.FS

// Provider is one that runs.
type Provider struct {
	Issuer string
	stdin  io.Closer // the process ends with it
	cmd    *exec.Cmd
}

// Start starts a provider at a free port.
func Start(ctx context.Context) (*Provider, error) {
	folder, err := install(ctx)
	if err != nil {
		return nil, err
	}
	p := &Provider{cmd: exec.Command("node", "server.js")}
	p.cmd.Dir = folder
	var said bytes.Buffer
	p.cmd.Stderr = &said
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "http://") {
			p.Issuer = lines.Text()
			go io.Copy(io.Discard, stdout) //nolint:errcheck // until it ends
			return p, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("devoidc: the provider does not start: %s", said.String()), p.cmd.Wait())
}

// Stop ends the provider.
func (p *Provider) Stop() {
	p.stdin.Close()
	_ = p.cmd.Wait() // it was told to
}

// Register makes a client that people are sent back from to the URI, and returns its id and its secret.
func (p *Provider) Register(ctx context.Context, redirectURI string) (id, secret string, err error) {
	body, err := json.Marshal(map[string]any{"redirect_uris": []string{redirectURI}})
	if err != nil {
		return "", "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Issuer+"/reg", bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	defer answer.Body.Close()
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&client); err != nil || client.ID == "" {
		return "", "", fmt.Errorf("devoidc: the provider refuses the client with %s: %w", answer.Status, err)
	}
	return client.ID, client.Secret, nil
}

// install puts the provider into a folder of this user's, where it stays until it changes.
func install(ctx context.Context) (folder string, err error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range names {
		text, err := files.ReadFile(name.Name())
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d %s", name.Name(), len(text), text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder = filepath.Join(cache, "roster", "devoidc-"+hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	making, err := os.MkdirTemp(filepath.Dir(folder), "devoidc-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(making)
	if err := os.CopyFS(making, files); err != nil {
		return "", err
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts")
	npm.Dir = making
	if said, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("devoidc: Node.js and npm are needed (deploy/setup.sh --test installs them): %w: %s", err, said)
	}
	if err := os.Rename(making, folder); err != nil {
		if _, there := os.Stat(folder); there == nil { // another process was first
			return folder, nil
		}
		return "", err
	}
	return folder, nil
}
