// Package certs makes the certificates by which the roles of a deployment, and NATS between them, know one another: a
// private authority, and one certificate per name that it signs. It is for those who have no authority of their own;
// package network takes certificates of any.
//
// What the folder holds:
//
//	ca.pem      the authority; everybody gets it
//	ca.key      its key, to renew with; nobody gets it
//	NAME.pem    a certificate, which names a role, the NATS server or a client of it as roster://NAME
//	NAME.key    its key
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

const (
	year          = 365 * 24 * time.Hour
	authorityLife = 10 * year
	life          = year
	nearEnd       = 90 * 24 * time.Hour // so long before the end a certificate is renewed
	clockSkew     = time.Hour           // between this machine and others
)

// Certificate says what was done about one.
type Certificate struct {
	Name  string // "ca", or the one that was asked for
	File  string
	Until time.Time
	Made  bool // now; otherwise it was there and is kept
}

// Renew makes what the folder lacks, renews what is near its end, and keeps the rest. Roles find one another by name;
// hosts are, by name, the host names and IP addresses of a server for clients that go by those.
func Renew(dir string, names []string, hosts map[string][]string, now time.Time) ([]Certificate, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	ca, authority, err := renewAuthority(dir, now)
	if err != nil {
		return nil, err
	}
	all := []Certificate{authority}
	for _, name := range names {
		c, err := ca.renew(dir, name, hosts[name], now)
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// renewAuthority finds the authority or makes it. One that would end before what it signs gets a new certificate for
// the same key: whoever still has the old one goes on believing what is signed.
func renewAuthority(dir string, now time.Time) (ca pair, c Certificate, err error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	c = Certificate{Name: "ca", File: certFile}
	ca, err = read(certFile, keyFile)
	switch {
	case err == nil && ca.cert.NotAfter.After(now.Add(life+nearEnd)):
		c.Until = ca.cert.NotAfter
		return ca, c, nil
	case errors.Is(err, fs.ErrNotExist):
		if exists(certFile) || exists(keyFile) {
			return ca, c, fmt.Errorf("%s and %s belong together, and one is missing: put it back, or remove the other to begin anew", certFile, keyFile)
		}
		if ca.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return ca, c, err
		}
		if err = write(keyFile, 0o600, keyBlock(ca.key)); err != nil {
			return ca, c, err
		}
	case err != nil:
		return ca, c, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Roster"},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if ca.cert, err = sign(template, pair{template, ca.key}, ca.key); err != nil {
		return ca, c, err
	}
	c.Until, c.Made = ca.cert.NotAfter, true
	return ca, c, write(certFile, 0o644, certBlock(ca.cert))
}

// namePattern is what fits into a URI and a file name.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// renew keeps a certificate if it is good for a while, or makes another, with a key of its own.
func (ca pair) renew(dir, name string, hosts []string, now time.Time) (Certificate, error) {
	c := Certificate{Name: name, File: filepath.Join(dir, name+".pem")}
	if !namePattern.MatchString(name) || name == "ca" {
		return c, fmt.Errorf("%q is no name for a certificate: lower-case letters, digits and dashes", name)
	}
	keyFile := filepath.Join(dir, name+".key")
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(life),
		URIs:        []*url.URL{{Scheme: "roster", Host: name}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if has, err := read(c.File, keyFile); err == nil && ca.good(has.cert, template, now) {
		c.Until = has.cert.NotAfter
		return c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	cert, err := sign(template, ca, key)
	if err != nil {
		return c, err
	}
	c.Until, c.Made = cert.NotAfter, true
	if err := write(keyFile, 0o600, keyBlock(key)); err != nil {
		return c, err
	}
	return c, write(c.File, 0o644, certBlock(cert))
}

// good reports whether a certificate is ours, lasts, and says what a new one would.
func (ca pair) good(cert, wanted *x509.Certificate, now time.Time) bool {
	return cert.CheckSignatureFrom(ca.cert) == nil &&
		cert.NotAfter.After(now.Add(nearEnd)) &&
		slices.EqualFunc(cert.URIs, wanted.URIs, func(a, b *url.URL) bool { return *a == *b }) &&
		slices.Equal(cert.DNSNames, wanted.DNSNames) &&
		slices.EqualFunc(cert.IPAddresses, wanted.IPAddresses, net.IP.Equal)
}

func sign(template *x509.Certificate, by pair, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// read returns the pair in two files. A file that is not there is fs.ErrNotExist.
func read(certFile, keyFile string) (p pair, err error) {
	der, err := readBlock(certFile, "CERTIFICATE")
	if err != nil {
		return p, err
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		return p, fmt.Errorf("%s: %w", certFile, err)
	}
	if der, err = readBlock(keyFile, "PRIVATE KEY"); err != nil {
		return p, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return p, fmt.Errorf("%s: %w", keyFile, err)
	}
	var ok bool
	if p.key, ok = key.(*ecdsa.PrivateKey); !ok || !p.key.PublicKey.Equal(p.cert.PublicKey) {
		return p, fmt.Errorf("%s is not the key of %s", keyFile, certFile)
	}
	return p, nil
}

func readBlock(file, kind string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM", file, kind)
	}
	return block.Bytes, nil
}

func certBlock(c *x509.Certificate) *pem.Block {
	return &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}
}

func keyBlock(key *ecdsa.PrivateKey) *pem.Block {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // P-256 keys marshal
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}
}

// write leaves the whole file or none: roles that run read it when it changes.
func write(file string, mode os.FileMode, block *pem.Block) error {
	aside, err := os.CreateTemp(filepath.Dir(file), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(aside.Name())
	err = errors.Join(pem.Encode(aside, block), aside.Chmod(mode), aside.Sync(), aside.Close())
	if err != nil {
		return err
	}
	return os.Rename(aside.Name(), file)
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}
