"""The instructions that make files: RUN, COPY, ADD, WORKDIR."""
