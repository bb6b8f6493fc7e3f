package id

// encodedLen is the length of 128 bits in base32, 5 bits a letter.
const encodedLen = 26

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var letters = func() (values [256]byte) {
	for i := range values {
		values[i] = 0xff
	}
	for i := range alphabet {
		values[alphabet[i]] = byte(i)
	}
	return values
}()

// encode writes 128 bits, the highest first, after two zero bits.
func encode(raw [16]byte) string {
	var out [encodedLen]byte
	var acc, bits uint
	next := 15
	for i := encodedLen - 1; i >= 0; i-- {
		for bits < 5 && next >= 0 {
			acc |= uint(raw[next]) << bits
			bits += 8
			next--
		}
		out[i] = alphabet[acc&31]
		acc >>= 5
		bits -= min(bits, 5)
	}
	return string(out[:])
}

// decode reads what encode writes and nothing else.
func decode(text string) (raw [16]byte, ok bool) {
	if letters[text[0]] > 7 { // the two highest bits do not exist
		return raw, false
	}
	var acc, bits uint
	next := 15
	for i := encodedLen - 1; i >= 0; i-- {
		v := letters[text[i]]
		if v == 0xff {
			return raw, false
		}
		acc |= uint(v) << bits
		bits += 5
		if bits >= 8 && next >= 0 {
			raw[next] = byte(acc)
			acc >>= 8
			bits -= 8
			next--
		}
	}
	return raw, true
}
