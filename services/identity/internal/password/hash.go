// Package password hashes passwords with Argon2id, and lets only as many hashes run at once as the machine can
// bear. What a good password is, package account says.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// parameters of Argon2id.
type parameters struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	length  uint32 // of the hash, in bytes
}

// current are OWASP's for Argon2id. Measured: 55 to 80 ms and 19 MiB each.
var current = parameters{memory: 19456, time: 2, threads: 1, length: 32}

const saltLength = 16

// Dummy is a hash that no password has. Checking it costs what checking a real one costs, for when there is none.
const Dummy = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// Hash returns the hash of a password in PHC string format. Enter the Gate first.
func Hash(plain string) string {
	salt := make([]byte, saltLength)
	rand.Read(salt) // never fails, see crypto/rand
	return encode(current, salt, current.key(plain, salt))
}

// Verify tells whether the hash is of the password, and whether it is weaker than Hash would make it today. A hash
// that cannot be used is an error, after the same work. Enter the Gate first.
func Verify(hash, plain string) (right, weak bool, err error) {
	p, salt, want, err := decode(hash)
	if err != nil {
		_, salt, _, _ := decode(Dummy)
		current.key(plain, salt)
		return false, false, err
	}
	right = subtle.ConstantTimeCompare(p.key(plain, salt), want) == 1
	return right, p.weakerThan(current), nil
}

func (p parameters) key(plain string, salt []byte) []byte {
	return argon2.IDKey([]byte(plain), salt, p.time, p.memory, p.threads, p.length)
}

func (p parameters) weakerThan(q parameters) bool {
	return p.memory < q.memory || p.time < q.time || p.length < q.length
}

func encode(p parameters, salt, hash []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(hash))
}

// decode reads a PHC string. The bounds keep whoever can write to the table from having us allocate or compute
// without end. A hash has one spelling; Go's decoder skips line breaks.
func decode(hash string) (p parameters, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if strings.ContainsAny(hash, "\r\n") || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, nil, nil, errors.New("not an Argon2id hash of version 19")
	}
	settings := strings.Split(parts[3], ",")
	if len(settings) != 3 {
		return p, nil, nil, errors.New("password hash: parameters are not m, t, p")
	}
	var values [3]uint64
	for i, limit := range []struct {
		name      string
		low, high uint64
	}{{"m=", 8, 64 << 10}, {"t=", 1, 10}, {"p=", 1, 4}} {
		text, ok := strings.CutPrefix(settings[i], limit.name)
		value, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || value < limit.low || value > limit.high || strconv.FormatUint(value, 10) != text {
			return p, nil, nil, fmt.Errorf("password hash: parameter %d is out of bounds", i+1)
		}
		values[i] = value
	}
	if values[0] < 8*values[2] {
		return p, nil, nil, errors.New("password hash: too little memory for its threads")
	}
	if salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(salt) < 8 || len(salt) > 64 {
		return p, nil, nil, errors.New("password hash: salt is out of bounds")
	}
	if key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(key) < 16 || len(key) > 64 {
		return p, nil, nil, errors.New("password hash: length is out of bounds")
	}
	return parameters{uint32(values[0]), uint32(values[1]), uint8(values[2]), uint32(len(key))}, salt, key, nil
}
