package identity

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// dot is a picture of one pixel.
func dot(t *testing.T, c color.Color) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 1, 1))
	img.Set(0, 0, c)
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

func TestAvatar(t *testing.T) {
	t.Parallel()
	set := func(h *harness, bearer string, content []byte, request string) (*identityv1.Account, error) {
		answer, err := h.avatars.SetAvatar(h.as(bearer), &identityv1.SetAvatarRequest{Content: content, RequestId: request})
		return answer.GetAccount(), err
	}
	get := func(h *harness, url string) []byte {
		answer, err := identityv1.NewAccountDirectoryServiceClient(h.dial("gateway")).
			GetAvatar(t.Context(), &identityv1.GetAvatarRequest{AvatarId: strings.TrimPrefix(url, "/avatars/")})
		require.NoError(t, err)
		return answer.GetContent()
	}

	t.Run("IsDrawnAnewShownAndToldOf", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "ada")
		_, bearer := h.open(ada)
		me, err := set(h, bearer, dot(t, color.White), "")
		require.NoError(t, err)
		require.Regexp(t, `^/avatars/[A-Z2-7]{26}$`, me.GetAvatarUrl())
		img, err := png.Decode(bytes.NewReader(get(h, me.GetAvatarUrl())))
		require.NoError(t, err)
		require.Equal(t, image.Rect(0, 0, 256, 256), img.Bounds())
		require.Equal(t, []string{"account.signed_in", "account.updated"}, h.types(ada.String()))
		found, err := h.directory.GetAccounts(t.Context(), &identityv1.GetAccountsRequest{AccountIds: []string{ada.String()}})
		require.NoError(t, err)
		require.Equal(t, me.GetAvatarUrl(), found.GetAccounts()[0].GetAvatarUrl())
		named, err := h.accounts.UpdateMe(h.as(bearer), &identityv1.UpdateMeRequest{DisplayName: "Ada"})
		require.NoError(t, err)
		require.Equal(t, me.GetAvatarUrl(), named.GetAccount().GetAvatarUrl(), "another name leaves it")
		kept, err := h.exports.ExportAccount(h.as(bearer), &identityv1.ExportAccountRequest{})
		require.NoError(t, err)
		require.Equal(t, me.GetAvatarUrl(), kept.GetAccount().GetAvatarUrl())
	})
	t.Run("AnotherOneTakesItsPlaceAndItsURL", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", "ada"))
		bob := h.insert("bob@example.com", "bob")
		_, stranger := h.open(bob)
		his, err := set(h, stranger, dot(t, color.Black), "")
		require.NoError(t, err)
		first, err := set(h, bearer, dot(t, color.White), "one")
		require.NoError(t, err)
		again, err := set(h, bearer, dot(t, color.White), "one")
		require.NoError(t, err)
		require.Equal(t, first.GetAvatarUrl(), again.GetAvatarUrl(), "the same request is answered the same")
		second, err := set(h, bearer, dot(t, color.Black), "two")
		require.NoError(t, err)
		require.NotEqual(t, first.GetAvatarUrl(), second.GetAvatarUrl())
		require.Empty(t, get(h, first.GetAvatarUrl()))
		require.NotEmpty(t, get(h, second.GetAvatarUrl()))
		require.NotEmpty(t, get(h, his.GetAvatarUrl()), "nobody else's goes")
	})
	t.Run("IsTakenAwayOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "ada")
		_, bearer := h.open(ada)
		me, err := set(h, bearer, dot(t, color.White), "")
		require.NoError(t, err)
		for range 2 {
			_, err = h.avatars.DeleteAvatar(h.as(bearer), &identityv1.DeleteAvatarRequest{})
			require.NoError(t, err)
		}
		require.Empty(t, get(h, me.GetAvatarUrl()))
		shown, err := h.accounts.GetMe(h.as(bearer), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Empty(t, shown.GetAccount().GetAvatarUrl())
		require.Equal(t, []string{"account.signed_in", "account.updated", "account.updated"}, h.types(ada.String()))
		var rows int
		require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM avatars) + (SELECT count(*) FROM avatar_ids)`).Scan(&rows))
		require.Zero(t, rows)
	})
	t.Run("WhatIsNoPictureIsRefusedAndChangesNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "ada")
		_, bearer := h.open(ada)
		me, err := set(h, bearer, dot(t, color.White), "")
		require.NoError(t, err)
		for _, content := range []string{`<svg xmlns="http://www.w3.org/2000/svg"/>`, "<!DOCTYPE html><p>Hello", string(dot(t, color.White)[:40])} {
			_, err := set(h, bearer, []byte(content), "")
			requireReason(t, errorv1.Reason_REASON_AVATAR_REFUSED, err)
		}
		for _, content := range [][]byte{nil, make([]byte, 256<<10+1)} {
			_, err := set(h, bearer, content, "")
			requireReason(t, invalid, err)
		}
		require.NotEmpty(t, get(h, me.GetAvatarUrl()))
		require.Equal(t, []string{"account.signed_in", "account.updated"}, h.types(ada.String()))
	})
	t.Run("OnlyTheGatewayAsksForPictures", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.membership.GetAvatar(t.Context(), &identityv1.GetAvatarRequest{AvatarId: "x"})
		requireReason(t, errorv1.Reason_REASON_CALLER_REFUSED, err)
	})
}
