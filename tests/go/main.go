// Judges requests by the Go sample of the partner guide, which is the package receiver beside this file.
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"guide/receiver"
)

type request struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body_base64"`
	Now     int64             `json:"now"`
	EventID string            `json:"event_id"`
}

func main() {
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		log.Fatal(err)
	}
	verdicts := make([]bool, len(requests))
	for i, r := range requests {
		eventID, err := receiver.Verify(r.Secret, r.Headers["x-webhook-signature"], r.Body, time.Unix(r.Now, 0))
		if err == nil && eventID != r.EventID {
			log.Fatalf("another event: %s", eventID)
		}
		verdicts[i] = err == nil
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		log.Fatal(err)
	}
}
