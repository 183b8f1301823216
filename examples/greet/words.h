/* SPDX-License-Identifier: MIT */
#ifndef WORDS_H
#define WORDS_H

enum word { GREETING, FAREWELL };

const char *word_for(enum word word);

#endif
