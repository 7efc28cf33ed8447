package starttls

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/protocol"
)

// patience is far above what anything here takes.
const patience = time.Minute

// TestPeers: each prelude brings the server of its protocol to TLS, over a connection that is read a byte at a time.
func TestPeers(t *testing.T) {
	played := map[string]bool{}
	for _, about := range testpeer.Kinds() {
		if about.StartTLS == "" {
			continue
		}
		played[about.StartTLS] = true
		t.Run(about.StartTLS, func(t *testing.T) {
			p := testpeer.New(t, about.Kind, testpeer.Options{})
			c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			e := Before(about.StartTLS, "a.sonde.test", newInner())
			if got, _ := e.Handshake(); got != protocol.TLSLater {
				t.Fatalf("Handshake: got %d, want TLSLater", got)
			}
			if err := bringToTLS(c, e); err != nil {
				t.Fatalf("%v; %+v", err, e.Conclusion())
			}
			secured := tls.Client(c, &tls.Config{ServerName: "a.sonde.test", RootCAs: p.Credentials().Roots()})
			if err := secured.Handshake(); err != nil {
				t.Errorf("handshake: %v", err)
			}
		})
	}
	for _, name := range Protocols() {
		if !played[name] {
			t.Errorf("%s: no peer plays it", name)
		}
	}
}

// TestPeersWithoutTLS: the same protocols from servers that have no TLS to offer.
func TestPeersWithoutTLS(t *testing.T) {
	for name, kind := range map[string]testpeer.Kind{
		"smtp": testpeer.SMTP, "imap": testpeer.IMAP, "pop3": testpeer.POP3, "ftp": testpeer.FTP,
	} {
		t.Run(name, func(t *testing.T) {
			p := testpeer.New(t, kind, testpeer.Options{})
			c, err := net.DialTimeout("tcp", p.Addr().String(), patience)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			e := Before(name, "", newInner())
			e.Handshake()
			if err := bringToTLS(c, e); err != errDone {
				t.Fatalf("got %v, want the exchange to be done", err)
			}
			if c := e.Conclusion(); c.Verdict != protocol.Refused || c.Reason == "" {
				t.Errorf("got %d, %q, want Refused", c.Verdict, c.Reason)
			}
		})
	}
}

var errDone = errors.New("the exchange is done")

// bringToTLS is the engine's part up to the StartTLS step, blocking. It reads byte by byte: what is behind the step is TLS.
func bringToTLS(c net.Conn, e protocol.Handshaker) error {
	step := e.Begin()
	var in []byte
	for {
		for _, b := range step.Send {
			if _, err := c.Write(b); err != nil {
				return err
			}
		}
		switch step.Then {
		case protocol.StartTLS:
			return nil
		case protocol.Done:
			return errDone
		}
		step = protocol.Step{}
		one := make([]byte, 1)
		if _, err := io.ReadFull(c, one); err != nil {
			e.OnEnd(protocol.EndOfStream, in, nil)
			return err
		}
		in = append(in, one[0])
		f, n, err := e.Parser().ParseFrame(in)
		switch {
		case err == protocol.ErrIncomplete:
			continue
		case err != nil:
			e.OnEnd(protocol.EndMalformed, in, err)
			return err
		}
		step = e.OnFrame(f)
		in = in[n:]
	}
}
