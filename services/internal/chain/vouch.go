package chain

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// voucher lets a key stand for another one that signed before it: what that has signed stays good when the service does not have it
// any more. It is kept beside the checkpoints, where the database cannot reach it, and believed because of its signature.
type voucher struct {
	PublicKey ed25519.PublicKey // vouched for
	By        ed25519.PublicKey
	Signature []byte
}

// text is what the signature is over.
func (v voucher) text(service string) []byte {
	return fmt.Appendf([]byte("roster checkpoint key 1"), "%d:%s%s", len(service), service, v.PublicKey)
}

// vouchedKeys begins the subjects of vouchers; no organization is called so.
func vouchedKeys(service string) string { return "roster.checkpoint." + service + ".key." }

// vouch lets the key that signs stand for the others, and for those that they stand for.
func (s *Server) vouch(ctx context.Context) error {
	vouchers, err := s.vouchers(ctx)
	if err != nil {
		return err
	}
	first, known := s.Key.Verifiers()[0], s.Key.Verifiers()[1:]
	for _, v := range vouchers {
		known = append(known, v.PublicKey)
	}
	for _, public := range known {
		if public.Equal(first) || slices.ContainsFunc(vouchers, func(v voucher) bool { return v.PublicKey.Equal(public) && v.By.Equal(first) }) {
			continue
		}
		v := voucher{PublicKey: public, By: first}
		v.Signature = ed25519.Sign(s.Key.Signer(), v.text(s.DB.Name))
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := s.JS.Publish(ctx, vouchedKeys(s.DB.Name)+hex.EncodeToString(public), body); err != nil {
			return fmt.Errorf("vouch for the key that signed before: %w", err)
		}
	}
	return nil
}

// vouchers returns those of keys that the service has.
func (s *Server) vouchers(ctx context.Context) (good []voucher, err error) {
	in, err := s.JS.Stream(ctx, stream(s.DB.Name, 0).Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stream of checkpoints: %w", err)
	}
	info, err := in.Info(ctx, jetstream.WithSubjectFilter(vouchedKeys(s.DB.Name)+"*"))
	if err != nil {
		return nil, fmt.Errorf("stream of checkpoints: %w", err)
	}
	for at := range info.State.Subjects {
		msg, err := in.GetLastMsgForSubject(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("read who vouches for a key: %w", err)
		}
		var v voucher
		if json.Unmarshal(msg.Data, &v) == nil && len(v.PublicKey) == ed25519.PublicKeySize &&
			slices.ContainsFunc(s.Key.Verifiers(), func(own ed25519.PublicKey) bool {
				return bytes.Equal(own, v.By) && ed25519.Verify(own, v.text(s.DB.Name), v.Signature)
			}) {
			good = append(good, v)
		}
	}
	return good, nil
}

// ours tells whether this service has signed the text, now or with a key that it had.
func (s *Server) ours(ctx context.Context, text, signature []byte) (bool, error) {
	by := func(key ed25519.PublicKey) bool { return ed25519.Verify(key, text, signature) }
	if slices.ContainsFunc(s.Key.Verifiers(), by) {
		return true, nil
	}
	vouchers, err := s.vouchers(ctx)
	return slices.ContainsFunc(vouchers, func(v voucher) bool { return by(v.PublicKey) }), err
}
