#!/bin/sh
# Prepare one shard of a store as one task of a Slurm array:
#
#   sbatch --array=1-64 examples/prepare_on_slurm.sh my_texts/ tokenizer shards 64
#
# Texts, tokenizer and shards lie on a file system that all machines see. See docs/cluster.md for the steps before
# and behind it.
#SBATCH --job-name=afterbert-prepare
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
set -eu
texts=$1 tokenizer=$2 shards=$3 total=$4
exec afterbert prepare "$texts" --tokenizer "$tokenizer" --shard "$SLURM_ARRAY_TASK_ID/$total" \
    --out "$shards/$SLURM_ARRAY_TASK_ID-of-$total" --processes "${SLURM_CPUS_PER_TASK:-1}"
