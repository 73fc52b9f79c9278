#!/bin/sh
# The studies of this folder, from the texts to the pages; what is finished is kept. `make evidence TEXT=PATH DATA=PATH`
#
#   TEXT   one file or folder of English prose, 8 MB or more
#   DATA   a folder with tasks/sst2, tasks/trec and tasks/ud_pos (labelled rows),
#          multilingual/{en,fr,de,es,ru,zh,ja,is}.jsonl, parallel/{bible-nt,tatoeba,handbook}.en-de.tsv and
#          pretrain_en/wikitext2.valid.txt; without it the studies that need them are left out, and a line says so
#
# afterbert must be on the path. From the environment: JOBS, how many runs go at once; ONLY="tlm cues", these studies
# alone; SCALE; PAGES, the folder for results and pages.
set -eu
TEXT=$1 DATA=${2:-} JOBS=${JOBS:-2} ONLY=${ONLY:-} SCALE=${SCALE:-minutes} PAGES=${PAGES:-docs/evidence}
MADE=runs/evidence          # what is cut out of DATA
export OMP_NUM_THREADS=1    # a process a run: figures do not depend on how many cores there are
mkdir -p "$MADE" "$PAGES"
PROCESSOR=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)

study() {
	case " ${ONLY:-$1} " in *" $1 "*) ;; *) return ;; esac
	name=$1 since=$(date +%s)
	shift
	afterbert study "$name" "$@" --scale "$SCALE" --jobs "$JOBS"
	took=$(($(date +%s) - since))
	# A row a sitting: what was stopped and given again has several.
	printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$SCALE" "$took" "$(date +%F)" "$PROCESSOR, $JOBS at once" >>"$PAGES/seconds.tsv"
	echo "$name took $took s"
}

for name in more-text factorization masking-rate masking-unit span-law span-length mask-or-random masked-or-causal \
	row-length layer-sharing size-or-steps recurrence boundary sentence-objective input-format where-tasks electra \
	one-mask bart-tasks t5-objectives; do
	study $name --text "$TEXT"
done
test -f "$MADE/phrases.tsv" || afterbert mine-phrases "$TEXT" --out "$MADE/phrases.tsv"
test -d "$MADE/phrases" || afterbert prepare "$TEXT" --phrases "$MADE/phrases.tsv" --vocab-size 2000 --out "$MADE/phrases"
study phrases --text "$MADE/phrases"

if [ -n "$DATA" ]; then
	mkdir -p "$MADE/trec500" "$MADE/sst2" "$MADE/trec2000" "$MADE/sst2-2000"
	# The same masks in each epoch differ from new ones only where a text is read several times.
	head -n 1200 "$DATA/pretrain_en/wikitext2.valid.txt" >"$MADE/short.txt"
	head -n 500 "$DATA/tasks/trec/train.txt" >"$MADE/trec500/train.txt"
	cp "$DATA/tasks/trec/test.txt" "$MADE/trec500/"
	# Each strategy trains on all rows several times over.
	head -n 2000 "$DATA/tasks/trec/train.txt" >"$MADE/trec2000/train.txt"
	cp "$DATA/tasks/trec/test.txt" "$MADE/trec2000/"
	head -n 2000 "$DATA/tasks/sst2/train.tsv" >"$MADE/sst2-2000/train.tsv"
	cp "$DATA/tasks/sst2/dev.tsv" "$DATA/tasks/sst2/test.tsv" "$MADE/sst2-2000/"
	cp "$DATA/tasks/sst2/"*.tsv "$MADE/sst2/"
	{
		echo 'task: {type: sentence_classification, label_words: {"0": bad, "1": good}}'
		echo 'files: {train: train.tsv, dev: dev.tsv, test: test.tsv}'
		echo 'columns: {text: 1, label: 2}'
	} >"$MADE/sst2/sst2.yaml"
	test -d "$MADE/mirrored" || afterbert prepare "$DATA/multilingual/en.jsonl" --language en,en-mirror \
		--vocab-size 2000 --out "$MADE/mirrored"
	if ! test -d "$MADE/languages"; then
		set --
		for language in en fr de es ru zh ja is; do
			set -- "$@" --lang "$language=$DATA/multilingual/$language.jsonl"
		done
		afterbert prepare "$@" --vocab-size 8000 --out "$MADE/languages"
	fi
	test -d "$MADE/en-de" || afterbert prepare --lang en="$DATA/multilingual/en.jsonl" \
		--lang de="$DATA/multilingual/de.jsonl" --vocab-size 8000 --out "$MADE/en-de"
	# Of eight verses seven are trained on, and one looks for its translation.
	awk 'NR % 8 == 0' "$DATA/parallel/bible-nt.en-de.tsv" >"$MADE/unseen.en-de.tsv"
	{
		awk 'NR % 8' "$DATA/parallel/bible-nt.en-de.tsv"
		cat "$DATA/parallel/tatoeba.en-de.tsv" "$DATA/parallel/handbook.en-de.tsv"
	} >"$MADE/pairs.en-de.tsv"
	test -d "$MADE/translations" || afterbert prepare --lang en="$DATA/multilingual/en.jsonl" \
		--lang de="$DATA/multilingual/de.jsonl" --lang en+de="$MADE/pairs.en-de.tsv" --vocab-size 8000 \
		--out "$MADE/translations"
	# Rows to learn from in English alone, and rows of others to be asked.
	mkdir -p "$MADE/tags" "$MADE/tags-de"
	cp "$DATA"/tasks/ud_pos/en_ewt-train.conllu "$DATA"/tasks/ud_pos/en_ewt-dev.conllu "$MADE/tags/"
	cp "$DATA"/tasks/ud_pos/*gsd*-test.conllu "$MADE/tags/"
	cp "$MADE"/tags/en_ewt-*.conllu "$MADE/tags/de_gsd-test.conllu" "$MADE/tags-de/"

	# English whose words are German here and there, by the translations that the pairs show.
	if ! test -d "$MADE/anchored"; then
		afterbert mine-translations en+de="$MADE/pairs.en-de.tsv" --out "$MADE/words.en-de.tsv"
		afterbert prepare --lang en="$DATA/multilingual/en.jsonl" --lang de="$DATA/multilingual/de.jsonl" \
			--switch en="$MADE/words.en-de.tsv" --vocab-size 8000 --out "$MADE/anchored"
	fi

	study static-dynamic --text "$MADE/short.txt"
	study mirrored-language --text "$MADE/mirrored"
	study smoothing --text "$MADE/languages"
	study tlm --text "$MADE/translations" --parallel "$MADE/unseen.en-de.tsv"
	study zero-shot-languages --text "$MADE/languages" --task "tags:$MADE/tags"
	study shared-parts --text "$MADE/translations" --parallel "$MADE/unseen.en-de.tsv" --task "tags:$MADE/tags-de"
	study anchors --text plain="$MADE/en-de" --text anchored="$MADE/anchored" --task "tags:$MADE/tags-de"
	study pretraining-or-none --text "$TEXT" --task "trec500:$MADE/trec500"
	for name in compression-ladder ensemble; do
		study $name --text "$TEXT" --task "trec:$DATA/tasks/trec"
	done
	study cues --text "$TEXT" --task "sst2:$MADE/sst2/sst2.yaml"
	study task-sharing --text "$TEXT" --task "sst2:$DATA/tasks/sst2" --task "trec:$DATA/tasks/trec"
	study t5-strategies --text "$TEXT" --task "trec:$MADE/trec2000" --task "sst2:$MADE/sst2-2000"
	study mixing-laws --text "$TEXT" --task "trec500:$MADE/trec500" --task "sst2:$DATA/tasks/sst2"
else
	echo "without DATA: static-dynamic, mirrored-language and what needs labelled rows are left out"
fi

for folder in runs/studies/*-"$SCALE"-*/; do
	test -f "${folder}results.json" || continue
	name=$(basename "${folder%-*/}")
	mkdir -p "$PAGES/$name"
	cp "${folder}results.json" "$PAGES/$name/"
done
afterbert study report "$PAGES"/*/
awk '{ sum += $3 } END { printf "all took %d minutes\n", sum / 60 }' "$PAGES/seconds.tsv"
