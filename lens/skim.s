// Go wants no bodies for the functions of skim.go that the runtime has, where there is a
// file of assembly.
