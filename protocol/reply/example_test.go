package reply_test

import (
	"fmt"

	"sonde/protocol/reply"
)

func ExampleCode() {
	p := reply.Code{Dialect: reply.SMTP}
	if _, _, err := p.ParseFrame([]byte("250-mail.example.com\r\n250-STARTTLS\r\n250 SIZE 1000\r\n")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Code())
	for line := range p.Lines() {
		fmt.Printf("%s\n", line)
	}
	// Output:
	// 250
	// mail.example.com
	// STARTTLS
	// SIZE 1000
}

func ExamplePOP3() {
	p := reply.POP3{MultiLine: true} // CAPA was sent
	if _, _, err := p.ParseFrame([]byte("+OK\r\nTOP\r\nUSER\r\n.\r\n")); err != nil {
		fmt.Println(err)
		return
	}
	for line := range p.Lines() {
		fmt.Printf("%s\n", line)
	}
	// Output:
	// TOP
	// USER
}

func ExampleIMAP() {
	var p reply.IMAP
	if _, _, err := p.ParseFrame([]byte("* CAPABILITY IMAP4rev2 STARTTLS\r\n")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Is("capability"), string(p.Text()))
	// Output: true IMAP4rev2 STARTTLS
}
