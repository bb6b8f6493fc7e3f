package testkit

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
)

// SealedWithoutID seals as the services did before values named their key: databases have such values.
func SealedWithoutID(secret [32]byte, plain []byte, context ...string) []byte {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	var bound []byte
	for _, c := range context {
		bound = fmt.Appendf(bound, "%d:%s", len(c), c)
	}
	out := append([]byte{1}, make([]byte, aead.NonceSize())...)
	rand.Read(out[1:]) // never fails
	return aead.Seal(out, out[1:], plain, bound)
}
