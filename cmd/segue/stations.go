package main

// stations are the processors of the path, in its order.
var stations []station
