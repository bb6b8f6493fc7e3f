// Package seal encrypts what a service keeps for itself: links on their way into a mail, answers that a
// repeated request gets again. AES-256-GCM with a random nonce; the context binds a sealed value to its row,
// so that it opens nowhere else. It is not for passwords: those are hashed. deploy/keys.md says how a key is turned.
package seal

import (
	"bytes"
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
	"slices"
	"strings"
)

// What everything sealed begins with: a version, and since the second one the id of the key.
const (
	versionWithoutID = 1
	version          = 2
	headSize         = 1 + idSize
	idSize           = 4
)

// ErrOpen says that a value was not sealed with one of these keys and this context.
var ErrOpen = errors.New("sealed value does not open")

// Key seals and opens. It is a ring, so that another key can take its place while everything goes on: the first key seals, sums
// and signs, and what any of them has sealed, summed or signed is good.
type Key struct{ ring []one }

// one key of the ring.
type one struct {
	head   [headSize]byte // of what it seals
	secret [32]byte
	aead   cipher.AEAD
}

// NewKey makes a key from 32 secret bytes, and from those of the keys that it opens with, too.
func NewKey(first [32]byte, others ...[32]byte) *Key {
	k := &Key{}
	for _, secret := range append([][32]byte{first}, others...) {
		head := [headSize]byte{version}
		copy(head[1:], expand(secret, "key id", idSize))
		k.ring = append(k.ring, newOne(secret, head))
	}
	return k
}

func newOne(secret [32]byte, head [headSize]byte) one {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return one{head, secret, aead}
}

func expand(secret [32]byte, purpose string, size int) []byte {
	derived, err := hkdf.Key(sha256.New, secret[:], nil, purpose, size)
	if err != nil {
		panic(err) // the length is right
	}
	return derived
}

// Derive returns a key of its own for one purpose. What it seals names the key that it comes from.
func (k *Key) Derive(purpose string) *Key {
	derived := &Key{}
	for _, from := range k.ring {
		derived.ring = append(derived.ring, newOne([32]byte(expand(from.secret, purpose, 32)), from.head))
	}
	return derived
}

// Seal encrypts plain, bound to context.
func (k *Key) Seal(plain []byte, context ...string) []byte {
	first := k.ring[0]
	nonce := headSize + first.aead.NonceSize()
	out := make([]byte, nonce, nonce+len(plain)+first.aead.Overhead())
	copy(out, first.head[:])
	rand.Read(out[headSize:]) // never fails, see crypto/rand
	return first.aead.Seal(out, out[headSize:], plain, bind(first.head[:], context))
}

// Open decrypts what Seal made with the same context, or returns ErrOpen.
func (k *Key) Open(sealed []byte, context ...string) ([]byte, error) {
	return k.OpenOlder(sealed, context, context...)
}

// OpenOlder is Open where values were bound to another context before they held the id of their key.
func (k *Key) OpenOlder(sealed []byte, older []string, context ...string) ([]byte, error) {
	size := headSize
	if len(sealed) > 0 && sealed[0] == versionWithoutID {
		size, context = 1, older
	}
	for _, key := range k.ring {
		nonce := size + key.aead.NonceSize()
		if len(sealed) < nonce || size == headSize && !bytes.Equal(sealed[:headSize], key.head[:]) {
			continue
		}
		bound := bind(nil, context)
		if size == headSize {
			bound = bind(key.head[:], context)
		}
		if plain, err := key.aead.Open(nil, sealed[size:nonce], sealed[nonce:], bound); err == nil {
			return plain, nil
		}
	}
	return nil, ErrOpen
}

// Head is what everything begins with that the first key has sealed.
func (k *Key) Head() []byte { return bytes.Clone(k.ring[0].head[:]) }

// Heads is what everything begins with that one of the keys has sealed, since values hold the id of their key; the first key's is
// first.
func (k *Key) Heads() (heads [][]byte) {
	for _, key := range k.ring {
		heads = append(heads, bytes.Clone(key.head[:]))
	}
	return heads
}

// Sums returns hashes of plain that nobody can try guesses against without a key: that of the first key, and those that plain may
// have from the others. A key that sums does not seal.
func (k *Key) Sums(plain []byte) (sums [][]byte) {
	for _, key := range k.ring {
		mac := hmac.New(sha256.New, key.secret[:])
		mac.Write(plain)
		sums = append(sums, mac.Sum(nil))
	}
	return sums
}

// Signer returns the first key as one that signs. What it signs anybody can verify who has its public part.
func (k *Key) Signer() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.ring[0].secret[:]) }

// Verifiers returns the public part of each key as one that signs, the first key's first.
func (k *Key) Verifiers() (public []ed25519.PublicKey) {
	for _, key := range k.ring {
		public = append(public, ed25519.NewKeyFromSeed(key.secret[:]).Public().(ed25519.PublicKey))
	}
	return public
}

func bind(head []byte, context []string) []byte {
	b := bytes.Clone(head)
	for _, c := range context {
		b = fmt.Appendf(b, "%d:%s", len(c), c)
	}
	return b
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

// Load reads the keys in file, each 32 bytes in base64 on a line of its own. The first seals.
func Load(file string) (*Key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var secrets [][32]byte
	for _, line := range strings.Fields(string(text)) {
		secret, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(secret) != 32 {
			secrets = nil
			break
		}
		if slices.Contains(secrets, [32]byte(secret)) {
			return nil, fmt.Errorf("%s: holds the same key twice", file)
		}
		secrets = append(secrets, [32]byte(secret))
	}
	if secrets == nil {
		return nil, fmt.Errorf("%s: must hold 32 bytes in base64, as `openssl rand -base64 32` prints, on each line", file)
	}
	return NewKey(secrets[0], secrets[1:]...), nil
}
