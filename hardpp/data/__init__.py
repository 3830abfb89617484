"""Readers of files, batches of what they read, and the cache of public data.

A folder for each kind of data; what they share lies beside the folders. Import what you need from the module
that owns it. What holds for all readers is said here once:

    DataError      raised where data are missing, damaged or not as described, or a part of them is empty; the
                   message names the file, and the line or entry
    UsageError     raised where a name is unknown, or a program or package that is needed is not installed
    ResourceError  raised where the disk is full
    report         is told in a few words what is going on, and what was left out
    on_bad         says what happens to a bad line or entry: "stop" refuses the data, "skip" leaves it out
    fingerprint    is a SHA-256 (hex) of all data in order, by which a run that is resumed refuses other data;
                   names of data are left out of it, as data that were moved or renamed are still the same
"""
