package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
)

// updater writes the key updates of a server, which crypto/tls answers but never asks for. The server itself can write
// nothing more once its first is sent.
type updater struct {
	secret   []byte
	sequence uint64
}

// newUpdater goes on from a server's key log (SERVER_TRAFFIC_SECRET_0) after so many records under those keys. It returns
// nil for a suite other than TLS_AES_128_GCM_SHA256.
func newUpdater(keyLog []byte, suite uint16, records int) *updater {
	for line := range bytes.Lines(keyLog) {
		if words := bytes.Fields(line); len(words) == 3 && string(words[0]) == "SERVER_TRAFFIC_SECRET_0" && suite == tls.TLS_AES_128_GCM_SHA256 {
			secret, err := hex.DecodeString(string(words[2]))
			if err != nil {
				panic(err)
			}
			return &updater{secret: secret, sequence: uint64(records)}
		}
	}
	return nil
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446 s.7.1).
func (u *updater) expand(label string, size int) []byte {
	info := append([]byte{byte(size >> 8), byte(size), byte(6 + len(label))}, "tls13 "+label...)
	out, err := hkdf.Expand(sha256.New, u.secret, string(append(info, 0)), size)
	if err != nil {
		panic(err)
	}
	return out
}

// update is the record of a key update that asks for one (RFC 8446 s.4.6.3). The next record is under the next keys (s.7.2).
func (u *updater) update() []byte {
	record := u.seal([]byte{24, 0, 0, 1, 1}, 22) // key_update, 1 byte, update_requested; content type handshake
	u.secret, u.sequence = u.expand("traffic upd", sha256.Size), 0
	return record
}

// say is a record of application data.
func (u *updater) say(data []byte) []byte { return u.seal(data, 23) }

// seal is a record of this content (RFC 8446 s.5.2).
func (u *updater) seal(content []byte, contentType byte) []byte {
	block, err := aes.NewCipher(u.expand("key", 16))
	if err != nil {
		panic(err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := u.expand("iv", seal.NonceSize())
	tail := nonce[len(nonce)-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^u.sequence)
	u.sequence++
	inner := append(bytes.Clone(content), contentType)
	size := len(inner) + seal.Overhead()
	record := []byte{23, 3, 3, byte(size >> 8), byte(size)}
	return seal.Seal(record, nonce, inner, record)
}

// countRecords is how many records lie in data.
func countRecords(data []byte) (n int) {
	for ; len(data) > 0; n++ {
		data = data[5+int(binary.BigEndian.Uint16(data[3:])):]
	}
	return n
}
