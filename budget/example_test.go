package budget_test

import (
	"fmt"
	"log"

	"github.com/memsup/memsup/budget"
)

func ExampleOpen() {
	b, err := budget.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	m, err := b.Read()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Available >= 0, m.Available <= m.Limit)
	// Output: true true
}

func ExampleBudget_CPU() {
	b, err := budget.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	c, err := b.CPU()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Limit <= int64(c.Online)*1000)
	// Output: true
}
