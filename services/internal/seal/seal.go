// Package seal encrypts what a service keeps for itself: links on their way into a mail, answers that a
// repeated request gets again. AES-256-GCM with a random nonce; the context binds a sealed value to its row,
// so that it opens nowhere else. It is not for passwords: those are hashed.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// version is the first byte of everything sealed.
const version = 1

// ErrOpen says that a value was not sealed with this key and context.
var ErrOpen = errors.New("sealed value does not open")

// Key seals and opens.
type Key struct {
	secret [32]byte
	aead   cipher.AEAD
}

// NewKey makes a key from 32 secret bytes.
func NewKey(secret [32]byte) *Key {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &Key{secret: secret, aead: aead}
}

// Derive returns a key of its own for one purpose.
func (k *Key) Derive(purpose string) *Key {
	derived, err := hkdf.Key(sha256.New, k.secret[:], nil, purpose, 32)
	if err != nil {
		panic(err) // the length is right
	}
	return NewKey([32]byte(derived))
}

// Seal encrypts plain, bound to context.
func (k *Key) Seal(plain []byte, context ...string) []byte {
	out := make([]byte, 1+k.aead.NonceSize(), 1+k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	out[0] = version
	rand.Read(out[1:]) // never fails, see crypto/rand
	return k.aead.Seal(out, out[1:], plain, bind(context))
}

// Open decrypts what Seal made with the same context, or returns ErrOpen.
func (k *Key) Open(sealed []byte, context ...string) ([]byte, error) {
	head := 1 + k.aead.NonceSize()
	if len(sealed) < head || sealed[0] != version {
		return nil, ErrOpen
	}
	plain, err := k.aead.Open(nil, sealed[1:head], sealed[head:], bind(context))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// Sum returns a hash of plain that nobody can try guesses against without the key. A key that sums does not seal.
func (k *Key) Sum(plain []byte) []byte {
	mac := hmac.New(sha256.New, k.secret[:])
	mac.Write(plain)
	return mac.Sum(nil)
}

// Signer returns the key as one that signs. What it signs anybody can verify who has its public part.
func (k *Key) Signer() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.secret[:]) }

func bind(context []string) []byte {
	var b strings.Builder
	for _, c := range context {
		fmt.Fprintf(&b, "%d:%s", len(c), c)
	}
	return []byte(b.String())
}

// LoadOrCreate reads the key in file, and makes one where there is none. For development; a deployment
// hands every instance the same file and uses Load.
func LoadOrCreate(file string) (*Key, error) {
	key, err := Load(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	var secret [32]byte
	rand.Read(secret[:])
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(secret[:])+"\n"), 0o600); err != nil {
		return nil, err
	}
	return NewKey(secret), nil
}

// Load reads the key in file: 32 bytes in base64.
func Load(file string) (*Key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("%s: must hold 32 bytes in base64, as `openssl rand -base64 32` prints", file)
	}
	return NewKey([32]byte(secret)), nil
}
